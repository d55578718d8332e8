// Builds dist: bundles with esbuild, declarations with tsc.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const top = join(dirname(fileURLToPath(import.meta.url)), "..");
const path = (...parts) => join(top, ...parts);
const common = { absWorkingDir: top, target: "es2022", logLevel: "warning" };

// The minified build shortens the names of internal properties: those with a
// "_" in front. System events have a capital letter after it and keep theirs.
const internal = /^_[a-z]/;

rmSync(path("dist"), { recursive: true, force: true });
rmSync(path("build"), { recursive: true, force: true });

await Promise.all([
  build({ ...common, bundle: true, entryPoints: ["src/node.ts"], platform: "node", format: "esm", outfile: "dist/esm/index.js" }),
  build({ ...common, bundle: true, entryPoints: ["src/node.ts"], platform: "node", format: "cjs", outfile: "dist/cjs/index.js" }),
  build({ ...common, bundle: true, entryPoints: ["src/index.ts"], format: "esm", outfile: "dist/browser/index.js" }),
  build({ ...common, bundle: true, entryPoints: ["src/index.ts"], format: "cjs", outfile: "dist/browser/index.cjs" }),
  build({
    ...common,
    bundle: true,
    entryPoints: ["src/index.ts"],
    format: "esm",
    outfile: "dist/stoa.min.js",
    minify: true,
    mangleProps: internal,
    legalComments: "none",
  }),
  // The single modules, for tests of unexported functions.
  build({ ...common, entryPoints: readdirSync(path("src")).map((name) => `src/${name}`), format: "esm", outdir: "build" }),
]);

const tsc = createRequire(import.meta.url).resolve("typescript/bin/tsc");
for (const format of ["esm", "cjs"]) {
  execFileSync(
    process.execPath,
    [tsc, "-p", path("tsconfig.json"), "--noEmit", "false", "--emitDeclarationOnly", "--outDir", path("dist", format)],
    { stdio: "inherit" },
  );
}
// Node.js and TypeScript take a folder for CommonJS if its package.json says
// so; the folder needs its own declarations.
mkdirSync(path("dist", "cjs"), { recursive: true });
writeFileSync(path("dist", "cjs", "package.json"), '{ "type": "commonjs" }\n');
