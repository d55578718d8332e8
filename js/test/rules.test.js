// The rules that both clients share, where test/clients cannot see them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeClock, fakeWebSocket, settle } from "./support/fake.js";
import { connected, join, rejection, stoa } from "./support/stoa.js";

test("a first dial has as many attempts as a later one", async () => {
  const WebSocket = fakeWebSocket();
  const clock = fakeClock();
  const failed = rejection(stoa.dial("ws://server", { default: {} }, { WebSocket, clock, reconnect: { attempts: 2 } }));
  await settle();
  for (let i = 0; i < 2; i++) {
    WebSocket.last.drop(1006, "");
    await clock.advance(200);
  }
  assert.equal((await failed).code, "gave_up");
  assert.equal((await failed).cause.message, "closed with code 1006");
  assert.equal(WebSocket.sockets.length, 2);
});

test("a connection that lasts as long as its longest delay is stable", async () => {
  const at = await connected({ default: {} }, { reconnect: { base: 100, cap: 1000 } });
  for (const [lasts, delay] of [[50, 100], [199, 200], [399, 400], [800, 100]]) {
    await at.clock.advance(lasts);
    at.WebSocket.last.drop();
    assert.equal(at.states.at(-1).delay, delay, `after ${lasts} ms`);
    await at.clock.advance(delay);
    at.WebSocket.last.accept();
    at.WebSocket.last.answerAll();
    await settle();
  }
});

test("a server brings the client into a bounded number of namespaces and rooms", async () => {
  const at = await connected({ a: {}, b: {}, c: {} }, { maxNamespaces: 3, maxRooms: 2 });
  const ask = async (request) => {
    at.socket.receive(`9;${request};0;0;`);
    await settle();
    return at.socket.take();
  };
  await join(at.ns.a, "own", at.socket);
  assert.deepEqual(await ask("a;x;_OnRoomJoin"), ["9;;;;;;"]);
  assert.deepEqual(await ask("a;x;_OnRoomJoin"), ["9;;;;;;"]);
  assert.deepEqual(await ask("b;y;_OnRoomJoin"), ["9;b;y;_OnRoomJoin;1;0;too many rooms"]);
  assert.deepEqual(await ask("d;;_OnNamespaceConnect"), ["9;d;;_OnNamespaceConnect;1;0;too many namespaces"]);
  await join(at.ns.b, "own", at.socket);
  assert.deepEqual(await ask("a;x;_OnRoomLeave"), ["9;;;;;;"]);
  assert.deepEqual(await ask("a;own;_OnRoomLeave"), ["9;;;;;;"]);
  const long = "y".repeat(3000);
  assert.deepEqual(await ask(`b;${long};_OnRoomJoin`), [`9;b;${long};_OnRoomJoin;1;0;name too long`]);
});
