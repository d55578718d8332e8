import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeClock, fakeWebSocket, settle } from "./support/fake.js";
import { connected, stoa } from "./support/stoa.js";

test("a handler that is too slow costs the connection, and no memory", async () => {
  let open;
  const gate = new Promise((resolve) => (open = resolve));
  const bodies = [];
  const at = await connected({
    default: {
      async e(ns, m) {
        bodies.push(m.Body);
        await gate;
      },
    },
  });
  const { socket } = at;
  const body = "x".repeat(1 << 16);
  let sent = 0;
  while (at.conn.state === "connected" && sent < 1000) socket.receive(`;default;;e;0;0;${sent++}${body}`);
  assert.ok(sent > 60 && sent < 70, `${sent} messages of 64 KiB waited`);
  assert.equal(at.states.at(-1).error, stoa.ErrSlowReader);
  assert.ok(socket.closedWith);
  await at.clock.advance(200);
  at.WebSocket.last.accept("second");
  at.WebSocket.last.answerAll();
  await settle();
  assert.equal(at.conn.state, "connected");
  open();
  await settle();
  assert.equal(bodies.length, sent - 1, "what has arrived is handled");
  at.WebSocket.last.receive(";default;;e;0;0;again");
  await settle();
  assert.equal(bodies.at(-1), "again");
  at.conn.close();
});

test("answers are no load of the handlers", async () => {
  const at = await connected({ default: { e: () => new Promise(() => undefined) } }, { receiveQueue: 1000 });
  for (let i = 0; i < 4; i++) at.socket.receive(";default;;e;0;0;");
  const answer = at.default.ask("q");
  await settle();
  at.socket.answerAll(([token]) => `${token};default;;q;0;0;${"x".repeat(5000)}`);
  assert.equal((await answer).Body.length, 5000);
  at.conn.close();
});

test("a server that never acknowledges is left", async () => {
  const WebSocket = fakeWebSocket();
  const states = [];
  const dialed = stoa.dial("ws://server", { default: {} }, { WebSocket, clock: fakeClock(), reconnect: { attempts: 2 }, onState: (t) => states.push(t) });
  dialed.catch(() => undefined);
  await settle();
  const socket = WebSocket.last;
  socket.open();
  let sent = 0;
  while (!states.length && sent < 100_000) {
    socket.receive(";default;;e;0;0;x");
    sent++;
  }
  assert.ok(sent < 20_000, `${sent} messages waited`);
  assert.equal(states[0].error, stoa.ErrSlowReader);
});
