// The rules for all JavaScript and TypeScript of this repository. `make lint` runs
// ESLint at the top of the repository, `npm run lint` in this folder, so patterns
// begin with "**".
import js from "@eslint/js";
import importX, { createNodeResolver } from "eslint-plugin-import-x";
import tseslint from "typescript-eslint";

const readonly = (...names) => Object.fromEntries(names.map((name) => [name, "readonly"]));

const common = readonly(
  ..."AbortController AbortSignal Blob Event EventTarget TextDecoder TextEncoder URL URLSearchParams WebSocket".split(" "),
  ..."clearInterval clearTimeout console crypto fetch performance queueMicrotask setInterval setTimeout structuredClone".split(" "),
);
const node = readonly("Buffer", "gc", "process", "setImmediate");
const browser = readonly(
  ..."CustomEvent MutationObserver ResizeObserver addEventListener cancelAnimationFrame document history localStorage".split(" "),
  ..."location navigator requestAnimationFrame sessionStorage window".split(" "),
);

const rules = {
  curly: ["error", "multi-line"],
  "default-case-last": "error",
  eqeqeq: "error",
  "max-lines": ["error", 400],
  "no-console": ["error", { allow: ["error", "info", "warn"] }],
  "no-else-return": "error",
  "no-eval": "error",
  "no-implied-eval": "error",
  "no-useless-return": "error",
  "no-var": "error",
  "no-warning-comments": ["error", { terms: ["todo", "fixme", "xxx", "hack"] }],
  "object-shorthand": "error",
  "prefer-const": "error",
  "prefer-template": "error",
};

export default tseslint.config(
  { ignores: ["**/node_modules/**", "**/dist/**", "**/build/**", "**/docs/**"] },
  { linterOptions: { reportUnusedDisableDirectives: "error" } },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { project: ["./tsconfig.json", "./test/tsconfig.json"], tsconfigRootDir: import.meta.dirname },
    },
    plugins: { import: importX },
    settings: {
      "import-x/extensions": [".ts"],
      "import-x/parsers": { "@typescript-eslint/parser": [".ts"] },
      // Sources import each other by the names of their builds.
      "import-x/resolver-next": [createNodeResolver({ extensionAlias: { ".js": [".ts"] } })],
    },
    rules: {
      ...rules,
      // test/imports.test.js checks the imports of types.
      "import/no-cycle": "error",
      "no-console": "error",
      // A signal's reason and a handler's exception are passed on unchanged.
      "@typescript-eslint/only-throw-error": "off",
      // Bodies have the type any if the application declares no events.
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/prefer-promise-reject-errors": "off",
    },
  },
  {
    files: ["**/*.js", "**/*.mjs"],
    languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: common },
    rules: {
      ...rules,
      "no-implicit-globals": "error",
      "no-shadow": "error",
      "no-unused-vars": ["error", { argsIgnorePattern: "^_|^ns$" }],
    },
  },
  { files: ["**/*.js"], ignores: ["**/demo/**", "examples/**"], languageOptions: { globals: node } },
  {
    // The demo page, and functions that Playwright runs inside a page.
    files: ["**/demo/**", "examples/**", "**/compat/js/test/{client,demo,example-notes,origin,tokens}*.js", "**/compat/js/support/{browser,client-page}.js", "**/frameworks/test/bundlers.test.js"],
    languageOptions: { globals: browser },
  },
);
