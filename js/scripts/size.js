// Fails if the browser build has grown beyond its limit.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const limit = 10.5 * 1024;
const minified = readFileSync(new URL("../dist/stoa.min.js", import.meta.url));
const size = gzipSync(minified, { level: 9 }).length;
console.info(`stoa.min.js: ${minified.length} bytes, ${size} gzipped, ${limit} allowed`);
if (size > limit) process.exitCode = 1;
