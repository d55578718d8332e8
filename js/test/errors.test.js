import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { settle } from "./support/fake.js";
import { connected, rejection, stoa } from "./support/stoa.js";

test("each error text of the protocol has a constant and a code", async () => {
  const page = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
  const [table] = page.split("## 10. Errors")[1].split("## 11.");
  const texts = table.split("\n").filter((line) => line.startsWith("| `")).flatMap((line) => line.split("|")[1].match(/[^`]+(?=`(,|\s*$))/g));
  assert.ok(texts.length >= 16, texts.join());
  const at = await connected();
  for (const text of texts) {
    const asking = rejection(at.default.ask("e"));
    await settle();
    at.socket.answerAll(([token]) => `${token};default;;e;1;0;${text}`);
    const error = await asking;
    assert.equal(error.message, text);
    assert.equal(error.code, text.replaceAll(" ", "_"));
    assert.ok(Object.values(stoa).includes(error), `${text} has no constant`);
  }
});

test("an error with a detail has the code of the error", async () => {
  const at = await connected();
  for (const [text, code] of Object.entries({
    'forbidden: needs join in room "x"': "forbidden",
    "unauthorized: needs a user": "unauthorized",
    "timeout: not one of these": "remote",
    "is forbidden: no": "remote",
  })) {
    const asking = rejection(at.default.ask("e"));
    await settle();
    at.socket.answerAll(([token]) => `${token};default;;e;1;0;${text}`);
    const error = await asking;
    assert.deepEqual([error.message, error.code], [text, code]);
  }
});

test("a disconnect by the server has its reason", async () => {
  const ends = [];
  const log = (ns, { Event, Err, IsLocal, IsForced }) => void ends.push([Event, Err?.message, Err?.code, IsLocal, IsForced]);
  const handlers = { default: { _OnNamespaceDisconnect: log } };
  (await connected(handlers)).socket.drop(1008, "kicked");
  (await connected(handlers)).socket.drop(1002);
  (await connected(handlers)).conn.close();
  assert.deepEqual(ends, [
    ["_OnNamespaceDisconnect", "kicked", "closed", false, true],
    ["_OnNamespaceDisconnect", "closed with code 1002", "closed", false, true],
    ["_OnNamespaceDisconnect", undefined, undefined, true, true],
  ]);
});
