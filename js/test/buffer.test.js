import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "./support/fake.js";
import { connected, join, rejection, stoa } from "./support/stoa.js";

/** A client without its connection, and a list of its dropped messages. */
async function away(buffer) {
  const at = await connected({ default: {} }, { buffer });
  at.room = await join(at.default, "r", at.socket);
  at.dropped = [];
  at.conn.on("drop", ({ message, error }) => at.dropped.push([message.Body, error.code]));
  at.socket.drop();
  at.back = async () => {
    await at.clock.advance(at.states.at(-1).delay);
    at.WebSocket.last.accept();
    at.WebSocket.last.take();
    at.WebSocket.last.receive("$3;;;;;;");
    at.WebSocket.last.receive("$4;;;;;;");
    await settle();
    return at.WebSocket.last.sent.map((payload) => String(payload).split(";").at(-1));
  };
  return at;
}

test("keeps emits and asks in order", async () => {
  const at = await away();
  at.conn.on("state", ({ state }) => {
    if (state === "connected") assert.equal(at.WebSocket.last.sent.length, 4, "sent before the listener is called");
  });
  assert.equal(at.default.emit("e", "1"), true);
  const ask = at.default.ask("e", "2");
  assert.equal(at.room.emit("e", "3"), true);
  assert.equal(at.default.emitBinary("e", new Uint8Array([52])), true);
  await settle();
  at.conn.on("drop", () => assert.fail("dropped"));
  const sent = await at.back();
  assert.deepEqual(sent.length, 4);
  assert.match(at.WebSocket.last.sent[1], /^\$\d+;default;;e;0;0;2$/);
  at.WebSocket.last.answerAll(([token]) => `${token};default;;e;0;0;answer`);
  assert.equal((await ask).Body, "answer");
});

test("fails emits and asks that do not fit", async () => {
  for (const [buffer, bodies] of [
    [{ messages: 2 }, ["1", "2", "3"]],
    [{ bytes: 40 }, ["1", "2", "3".repeat(20)]],
  ]) {
    const at = await away(buffer);
    const [first, second, third] = bodies;
    assert.ok(at.default.emit("e", first));
    assert.ok(at.default.emit("e", second));
    assert.equal(at.default.emit("e", third), false);
    assert.deepEqual(at.dropped, [[third, "buffer_full"]]);
    assert.deepEqual(await at.back(), [first, second]);
    assert.ok(at.default.emit("e", third), "after the reconnect");
  }
  const at = await away({ messages: 1 });
  at.default.emit("e", "1");
  assert.equal(await rejection(at.default.ask("e", "2")), stoa.ErrBufferFull);
});

test("drops silently, but for the event", async () => {
  const at = await away({ policy: "drop" });
  assert.equal(at.default.emit("e", "1"), true);
  assert.deepEqual(at.dropped, [["1", "connection_lost"]]);
  assert.equal(await rejection(at.default.ask("e", "2")), stoa.ErrDisconnected);
  assert.deepEqual(await at.back(), []);
});

test("the policy \"fail\" fails at once", async () => {
  const at = await away({ policy: "fail" });
  assert.equal(at.default.emit("e", "1"), false);
  assert.equal(await rejection(at.default.ask("e", "2")), stoa.ErrDisconnected);
  assert.equal(await rejection(at.default.joinRoom("x")), stoa.ErrDisconnected);
  assert.deepEqual(await at.back(), []);
});

test("the buffer fails when the connection is closed", async () => {
  const at = await away();
  at.default.emit("e", "1");
  const ask = rejection(at.default.ask("e", "2"));
  const connect = rejection(at.conn.connect("default2"));
  await settle();
  at.conn.close();
  assert.deepEqual(at.dropped, [["1", "use_of_closed_connection"]]);
  assert.equal(await ask, stoa.ErrClosed);
  assert.equal(await connect, stoa.ErrBadNamespace);
  assert.equal(at.default.emit("e", "3"), false);
});

test("a buffered ask can be aborted, and makes room", async () => {
  const at = await away({ messages: 1 });
  const abort = new AbortController();
  const ask = at.default.ask("e", "1", { signal: abort.signal });
  await settle();
  assert.equal(at.default.emit("e", "2"), false);
  abort.abort();
  assert.equal((await rejection(ask)).name, "AbortError");
  assert.equal(at.default.emit("e", "3"), true);
  assert.deepEqual(await at.back(), ["3"]);
});

test("a closing socket takes no messages", async () => {
  const at = await connected({ default: {} });
  // The state between the close frame and the close event in a browser.
  at.socket.readyState = 2;
  assert.ok(at.default.emit("e", "1"));
  at.socket.drop(1001);
  await at.clock.advance(at.states.at(-1).delay);
  at.WebSocket.last.accept();
  at.WebSocket.last.answerAll();
  await settle();
  assert.deepEqual(at.WebSocket.last.take(), [";default;;e;0;0;1"]);
});
