// The rules for all JavaScript of this repository. The linter runs at the top of
// the repository, so the patterns count from there.
import js from "@eslint/js";

const node = { Buffer: "readonly", process: "readonly" };
const both = {
  AbortController: "readonly",
  AbortSignal: "readonly",
  Blob: "readonly",
  TextDecoder: "readonly",
  TextEncoder: "readonly",
  URL: "readonly",
  URLSearchParams: "readonly",
  WebSocket: "readonly",
  clearInterval: "readonly",
  clearTimeout: "readonly",
  console: "readonly",
  crypto: "readonly",
  fetch: "readonly",
  performance: "readonly",
  queueMicrotask: "readonly",
  setInterval: "readonly",
  setTimeout: "readonly",
  structuredClone: "readonly",
};
const browser = {
  CustomEvent: "readonly",
  Event: "readonly",
  ResizeObserver: "readonly",
  addEventListener: "readonly",
  document: "readonly",
  history: "readonly",
  localStorage: "readonly",
  location: "readonly",
  navigator: "readonly",
  requestAnimationFrame: "readonly",
  sessionStorage: "readonly",
  window: "readonly",
};

export default [
  { ignores: ["**/node_modules/**", "cmd/stoa/internal/serve/demo/stoa.js"] },
  js.configs.recommended,
  {
    files: ["**/*.js", "**/*.mjs"],
    languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: both },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      curly: ["error", "multi-line"],
      "default-case-last": "error",
      eqeqeq: "error",
      "max-lines": ["error", 450],
      "no-await-in-loop": "off",
      "no-console": ["error", { allow: ["error", "info", "warn"] }],
      "no-else-return": "error",
      "no-eval": "error",
      "no-implicit-globals": "error",
      "no-implied-eval": "error",
      "no-shadow": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      "no-useless-return": "error",
      "no-var": "error",
      "no-warning-comments": ["error", { terms: ["todo", "fixme", "xxx", "hack"] }],
      "object-shorthand": "error",
      "prefer-const": "error",
      "prefer-template": "error",
    },
  },
  { files: ["test/**"], languageOptions: { globals: node } },
  { files: ["cmd/**"], languageOptions: { globals: browser } },
  // Functions that playwright runs inside the page.
  {
    files: ["test/compat/js/test/client*.js", "test/compat/js/test/demo*.js", "test/compat/js/test/origin*.js", "test/compat/js/support/browser.js", "test/compat/js/support/client-page.js"],
    languageOptions: { globals: browser },
  },
];
