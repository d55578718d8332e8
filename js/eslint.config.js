import js from "@eslint/js";
import tseslint from "typescript-eslint";

const rules = {
  curly: ["error", "multi-line"],
  "default-case-last": "error",
  eqeqeq: "error",
  "max-lines": ["error", 400],
  "no-console": ["error", { allow: ["error", "info", "warn"] }],
  "no-else-return": "error",
  "no-eval": "error",
  "no-shadow": "off",
  "no-useless-return": "error",
  "no-var": "error",
  "no-warning-comments": ["error", { terms: ["todo", "fixme", "xxx", "hack"] }],
  "object-shorthand": "error",
  "prefer-const": "error",
  "prefer-template": "error",
};

export default tseslint.config(
  { ignores: ["**/node_modules/**", "dist/**", "build/**", "docs/**"] },
  js.configs.recommended,
  {
    files: ["**/*.ts"],
    extends: [tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: { project: ["./tsconfig.json", "./test/tsconfig.json"], tsconfigRootDir: import.meta.dirname },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      ...rules,
      "no-console": "error",
      // A signal's reason and what a handler throws are passed on as they are.
      "@typescript-eslint/only-throw-error": "off",
      // Bodies are of any type where a program declares no events.
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/prefer-promise-reject-errors": "off",
    },
  },
  {
    files: ["**/*.js"],
    languageOptions: {
      ecmaVersion: 2023,
      sourceType: "module",
      globals: Object.fromEntries(
        ["AbortController", "AbortSignal", "Buffer", "Event", "EventTarget", "URL", "WebSocket", "clearTimeout", "console", "fetch", "process", "setImmediate", "setTimeout", "TextDecoder", "TextEncoder", "performance", "globalThis", "gc"].map(
          (name) => [name, "readonly"],
        ),
      ),
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: { ...rules, "no-unused-vars": ["error", { argsIgnorePattern: "^_|^ns$" }] },
  },
);
