import assert from "node:assert/strict";
import { test } from "node:test";
import { connected, join } from "./support/stoa.js";

const volatile = { volatile: true };

test("marks volatile emits for a server that knows them", async () => {
  for (const [id, mark] of [
    ["first", ""],
    ["first positions", ""],
    ["first volatile", "~"],
    ["first volatile positions", "~"],
    ["first positions volatile", "~"],
  ]) {
    const at = await connected({ default: {} }, {}, id);
    assert.equal(at.conn.ID, "first");
    const room = await join(at.default, "r", at.socket);
    at.socket.take();
    assert.ok(room.emit("e", "x;y", volatile));
    assert.ok(room.emit("e", "x", { volatile: false }));
    assert.ok(at.default.emit("e", { x: 1 }, volatile));
    assert.ok(at.default.emitBinary("e", new Uint8Array([255]), volatile));
    assert.ok(at.conn.write({ Namespace: "default", Event: "e", volatile: true }));
    assert.deepEqual(at.socket.take().map((sent) => Buffer.from(sent).toString("latin1")), [
      `${mark};default;r;e;0;0;x;y`,
      ";default;r;e;0;0;x",
      `${mark};default;;e;0;0;{"x":1}`,
      `${mark};default;;e;0;0;\xff`,
      `${mark};default;;e;0;0;`,
    ]);
    at.conn.close();
    assert.equal(room.emit("e", "x", volatile), false);
  }
});

test("drops volatile emits while others wait for the socket", async () => {
  const at = await connected({ default: {} }, {}, "first volatile");
  at.conn.on("drop", () => assert.fail("reported"));
  at.socket.bufferedAmount = 16_385;
  assert.ok(at.default.emit("e", "1", volatile));
  assert.ok(at.default.emit("e", "2"));
  at.socket.bufferedAmount = 16_384;
  assert.ok(at.default.emit("e", "3", volatile));
  assert.deepEqual(at.socket.take(), [";default;;e;0;0;2", "~;default;;e;0;0;3"]);
});

test("checks volatile emits as others", async () => {
  const at = await connected({ default: {} }, { messageLimit: 100 }, "first volatile");
  const dropped = [];
  at.conn.on("drop", ({ error }) => dropped.push(error.code));
  assert.equal(at.default.emit("_OnRoomJoin", "", volatile), false);
  assert.equal(at.default.emit("e", "x".repeat(100), volatile), false);
  assert.deepEqual(dropped, ["message_too_big"]);
  assert.equal(at.conn.write({ IsNative: true, Body: "as it is", volatile: true }), true);
  assert.deepEqual(at.socket.take(), ["as it is"]);
});
