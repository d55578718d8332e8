import js from "@eslint/js";
import importX, { createNodeResolver } from "eslint-plugin-import-x";
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
