// The last of several requests for the same room or namespace counts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "./support/fake.js";
import { connected, join, rejection, stoa } from "./support/stoa.js";

const withoutTokens = (payloads) => payloads.map((payload) => payload.replace(/^\$\d+/, "$"));

/** Answers everything until the client sends nothing more. */
async function answer(socket) {
  for (let i = 0; i < 4; i++) {
    socket.answerAll();
    await settle();
  }
}

test("a join after a leave joins again", async () => {
  const heard = [];
  const at = await connected({ default: { e: (ns, m) => void heard.push(m.Body) } });
  const first = await join(at.default, "r", at.socket);
  const leaving = first.leave();
  const joining = at.default.joinRoom("r");
  await settle();
  assert.deepEqual(withoutTokens([...at.socket.sent]), ["$;default;r;_OnRoomLeave;0;0;", "$;default;r;_OnRoomJoin;0;0;"]);
  at.socket.answerAll();
  await leaving;
  const room = await joining;
  assert.notEqual(room, first);
  assert.equal(at.default.room("r"), room);
  assert.ok(room.emit("e", "x"));
  assert.deepEqual(at.socket.take(), [";default;r;e;0;0;x"]);

  room.leave();
  at.default.joinRoom("r").catch(() => undefined);
  const last = room.leave();
  await settle();
  await answer(at.socket);
  await last;
  assert.equal(at.default.room("r"), undefined);
});

test("a join after a leave while the connection is lost joins again", async () => {
  const at = await connected();
  const first = await join(at.default, "r", at.socket);
  at.socket.drop();
  const leaving = first.leave();
  const joining = at.default.joinRoom("r");
  await at.clock.advance(200);
  const socket = at.WebSocket.last;
  socket.accept("second");
  await answer(socket);
  await leaving;
  assert.equal(at.default.room("r"), await joining);
});

test("a connect after a disconnect connects again", async () => {
  const at = await connected();
  const disconnecting = at.default.disconnect();
  assert.equal(await rejection(at.default.joinRoom("r")), stoa.ErrBadNamespace, "a join on the way out");
  const connecting = at.conn.connect("default");
  await settle();
  await answer(at.socket);
  await disconnecting;
  const ns = await connecting;
  assert.notEqual(ns, at.default);
  assert.equal(at.conn.namespace("default"), ns);

  ns.disconnect();
  at.conn.connect("default");
  const last = ns.disconnect();
  await settle();
  await answer(at.socket);
  await last;
  assert.equal(at.conn.namespace("default"), undefined);
});

test("leaveAll and disconnectAll end what is about to begin", async () => {
  const at = await connected({ default: {}, other: {} });
  at.ns.other.disconnect();
  await settle();
  await answer(at.socket);
  at.default.joinRoom("r");
  const leaving = at.default.leaveAll();
  await settle();
  await answer(at.socket);
  await leaving;
  assert.equal(at.default.rooms.size, 0);
  at.conn.connect("other");
  await settle();
  const disconnecting = at.conn.disconnectAll();
  await settle();
  await answer(at.socket);
  await disconnecting;
  assert.equal(at.conn.namespace("other"), undefined);
  assert.equal(at.conn.namespace("default"), undefined);
});

for (const [name, want, end] of [
  ["the server's leave", "ErrBadRoom", (at) => at.socket.receive("7;default;r;_OnRoomLeave;0;0;")],
  ["leaveAll", "ErrBadRoom", (at) => void at.default.leaveAll()],
  ["a disconnect", "ErrBadNamespace", (at) => void at.default.disconnect()],
  ["a lost connection", "ErrDisconnected", (at) => at.socket.drop()],
]) {
  test(`a join whose handler is slow ends with ${name}`, async () => {
    let open;
    const at = await connected({ default: { _OnRoomJoin: () => new Promise((resolve) => (open = resolve)) } });
    const joining = rejection(at.default.joinRoom("r"));
    await settle();
    at.socket.answerAll();
    await settle();
    end(at);
    await settle();
    at.socket.answerAll();
    await settle();
    open();
    assert.equal(await joining, stoa[want]);
    assert.equal(at.default.rooms.size, 0);
  });
}
