// Builds dist: bundles by esbuild, declarations by tsc.
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const top = join(dirname(fileURLToPath(import.meta.url)), "..");
const path = (...parts) => join(top, ...parts);
const common = { absWorkingDir: top, target: "es2022", logLevel: "warning" };

// Properties that get short names in the minified build: what begins with "_"
// and a small letter (system events have a capital one), and what the modules
// only call each other. None of these is a name of the API or of the platform.
const between = [
  "accepted answer asking check connected dial driver ended epoch fail failed fire flush holds isOpen joined",
  "left lost namespaces open opened question receive refuse refused remove run tell url",
];
const internal = new RegExp(`^(_[a-z].*|${between.join(" ").replaceAll(" ", "|")})$`);

rmSync(path("dist"), { recursive: true, force: true });
rmSync(path("build"), { recursive: true, force: true });

await Promise.all([
  build({ ...common, bundle: true, entryPoints: ["src/node.ts"], platform: "node", format: "esm", outfile: "dist/esm/index.js" }),
  build({ ...common, bundle: true, entryPoints: ["src/node.ts"], platform: "node", format: "cjs", outfile: "dist/cjs/index.js" }),
  build({ ...common, bundle: true, entryPoints: ["src/index.ts"], format: "esm", outfile: "dist/browser/index.js" }),
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
  // The modules one by one, for the tests of what the package does not export.
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
// In a folder of its own, and with the same declarations once more, CommonJS
// is CommonJS for Node.js and for TypeScript alike.
mkdirSync(path("dist", "cjs"), { recursive: true });
writeFileSync(path("dist", "cjs", "package.json"), '{ "type": "commonjs" }\n');
