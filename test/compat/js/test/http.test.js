import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { enter } from "../support/client.js";
import { limit, startProgram } from "../support/program.js";

describe("the same port for HTTP", () => {
  let program;
  let person;
  let endpoint;

  before(async () => {
    program = await startProgram();
    endpoint = `${program.page}/ws`;
    person = await enter(program.url, "connected", ["hall"]);
  });
  after(async () => {
    person?.close();
    await program.kill();
  });

  it("answers the probe of neffos.js", limit, async () => {
    const response = await fetch(endpoint, { method: "HEAD", redirect: "manual" });
    assert.equal(response.status, 302);
    assert.equal(response.headers.get("location"), null);
  });

  it("refuses requests without an upgrade with one line that gives the reason", limit, async () => {
    const plain = await fetch(endpoint);
    assert.ok([400, 426].includes(plain.status), `status ${plain.status}`);
    assert.match(await plain.text(), /^[^\n]+\n$/);
    const post = await fetch(endpoint, { method: "POST", body: "x" });
    assert.equal(post.status, 405);
    assert.match(post.headers.get("allow"), /GET/);
  });

  it("serves the page, the health and the metrics", limit, async () => {
    for (const [path, type, content] of [
      ["/", /^text\/html/, /id="log"/],
      ["/healthz", /^text\/plain/, /./],
      ["/readyz", /^text\/plain/, /./],
      ["/metrics", /^text\/plain/, /^stoa_\w*connections\w* 1$/m],
    ]) {
      const response = await fetch(program.page + path);
      assert.equal(response.status, 200, path);
      assert.match(response.headers.get("content-type"), type, path);
      assert.match(await response.text(), content, path);
    }
    assert.equal((await fetch(`${program.page}/nowhere`)).status, 404);
  });

  it("keeps no name that a client chose in its metrics", limit, async () => {
    person.ns.room("hall").emit("an event that is in no label", "");
    await assert.rejects(person.ns.ask("another event that is in no label", ""));
    const metrics = await (await fetch(`${program.page}/metrics`)).text();
    assert.doesNotMatch(metrics, /in no label|hall/);
    assert.doesNotMatch(metrics, new RegExp(person.conn.ID));
  });
});
