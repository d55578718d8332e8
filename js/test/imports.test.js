import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import ts from "typescript";

const folder = new URL("../src/", import.meta.url);

/** The imports of each module, those of types included. */
function readImports() {
  const imports = new Map();
  for (const name of readdirSync(folder)) {
    const { importedFiles } = ts.preProcessFile(readFileSync(new URL(name, folder), "utf8"));
    imports.set(name, importedFiles.map(({ fileName }) => fileName.replace(/^\.\/(.*)\.js$/, "$1.ts")));
  }
  return imports;
}

/** Returns a circle of modules, or undefined. */
function findCircle(imports) {
  const finished = new Set();
  const visit = (name, path) => {
    if (path.includes(name)) return [...path.slice(path.indexOf(name)), name];
    if (finished.has(name)) return undefined;
    for (const next of imports.get(name) ?? []) {
      const circle = visit(next, [...path, name]);
      if (circle) return circle;
    }
    finished.add(name);
    return undefined;
  };
  for (const name of imports.keys()) {
    const circle = visit(name, []);
    if (circle) return circle;
  }
  return undefined;
}

// The rule import/no-cycle ignores imports of types.
test("modules do not import each other in a circle, not even types", () => {
  const imports = readImports();
  assert.ok(imports.get("conn.ts").includes("nsconn.ts"), "the import of a value is missing");
  assert.ok(imports.get("room.ts").includes("nsconn.ts"), "the import of a type is missing");
  assert.equal(findCircle(imports)?.join(" -> "), undefined);
});

test("a circle is found", () => {
  const imports = new Map([["a", ["b", "d"]], ["b", ["c", "d"]], ["c", ["b"]], ["d", []]]);
  assert.deepEqual(findCircle(imports), ["b", "c", "b"]);
});
