// A node serves the build of this folder at /stoa.js.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, it } from "node:test";

import { startProgram } from "../../test/compat/js/support/program.js";
import { limit } from "./support/peers.js";

const built = new URL("../dist/stoa.min.js", import.meta.url);
const copy = new URL("../../ops/stoa.js", import.meta.url);

let program;
before(async () => {
  program = await startProgram();
});
after(() => program.kill());

it("the copy in package ops equals the build", async () => {
  const same = (await readFile(built)).equals(await readFile(copy));
  assert.ok(same, "ops/stoa.js is old: run make js and commit it");
});

it("a node serves it to pages of every origin, and again only when it has changed", limit, async () => {
  const response = await fetch(`${program.page}/stoa.js`);
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("Content-Type"), "text/javascript; charset=utf-8");
  assert.equal(response.headers.get("Access-Control-Allow-Origin"), "*");
  assert.equal(response.headers.get("Cache-Control"), "no-cache");
  assert.deepEqual(Buffer.from(await response.arrayBuffer()), await readFile(copy));
  const known = { "If-None-Match": response.headers.get("ETag") };
  const again = await fetch(`${program.page}/stoa.js`, { headers: known });
  assert.equal(again.status, 304);
});
