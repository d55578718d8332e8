// Deadlines of a process that was suspended, and servers that vanish.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeClock, fakeWebSocket, settle } from "./support/fake.js";
import { connected, rejection, stoa } from "./support/stoa.js";

const tokenOf = (payload) => payload.split(";", 1)[0];

/** Suspends the process. Its late timers run before it receives messages. */
async function suspend(clock, milliseconds) {
  clock.suspend(milliseconds);
  await clock.advance(0);
}

test("an answer that arrived while the process was suspended comes before the timeout", async () => {
  const at = await connected();
  const asks = ["a", "b"].map((event) => at.default.ask(event, "", { timeout: 2000 }));
  const unanswered = rejection(asks[1]);
  const connecting = at.conn.connect("default");
  await settle();
  const [answered] = at.socket.take();
  await suspend(at.clock, 3000);
  at.socket.receive(`${tokenOf(answered)};default;;a;0;0;late`);
  assert.equal((await asks[0]).Body, "late");
  await connecting;
  await at.clock.advance(1000);
  assert.equal(await unanswered, stoa.ErrTimeout);
  assert.equal(at.clock.running, 0, "timers run after the asks");
});

test("a process that was suspended during the dial takes the acknowledgement", async () => {
  const WebSocket = fakeWebSocket();
  const clock = fakeClock();
  const dialed = stoa.dial("ws://server", { default: {} }, { WebSocket, clock });
  await settle();
  await suspend(clock, 60_000);
  WebSocket.last.accept("in time");
  const conn = await dialed;
  assert.deepEqual([conn.ID, WebSocket.sockets.length], ["in time", 1]);
  conn.close();
  assert.equal(clock.running, 0);
});

test("a server that vanishes is noticed after the idle timeout", async () => {
  const at = await connected({ default: {} }, { idleTimeout: undefined });
  await at.clock.advance(29_999);
  at.socket.receive(";default;;e;0;0;");
  await at.clock.advance(29_999);
  assert.deepEqual(at.socket.take(), []);
  await at.clock.advance(1);
  assert.match(at.socket.take()[0], /^\$\d+;\0;;_OnNamespaceDisconnect;0;0;$/);
  await at.clock.advance(14_999);
  assert.equal(at.conn.state, "connected");
  await at.clock.advance(1);
  assert.equal(at.conn.state, "reconnecting");
  assert.equal(at.states.at(-1).error, stoa.ErrIdle);
  assert.ok(at.socket.closedWith);
  at.conn.close();
  assert.equal(at.clock.running, 0);
});

test("a quiet server that answers is kept", async () => {
  const at = await connected({ default: {} }, { idleTimeout: 3000 });
  for (let i = 0; i < 10; i++) {
    await at.clock.advance(2000);
    assert.equal(at.socket.sent.length, 1);
    at.socket.answerAll();
  }
  assert.equal(at.conn.state, "connected");
  at.conn.close();
});

test("the server is asked first after the process was suspended", async () => {
  const at = await connected({ default: {} }, { idleTimeout: 3000 });
  await suspend(at.clock, 3_600_000);
  await at.clock.advance(1000);
  assert.equal(at.socket.sent.length, 1);
  // Again, while the answer is on its way.
  await suspend(at.clock, 3_600_000);
  at.socket.answerAll();
  await at.clock.advance(2000);
  assert.equal(at.conn.state, "connected");
  at.conn.close();
});

test("a server that takes what waited for it is kept", async () => {
  const at = await connected({ default: {} }, { idleTimeout: 3000 });
  for (let left = 5; left > 0; left--) {
    at.socket.bufferedAmount = left * 1000;
    await at.clock.advance(2000);
    assert.equal(at.socket.take().length, 1);
    at.socket.bufferedAmount -= 1000;
    await at.clock.advance(1000);
    assert.equal(at.conn.state, "connected");
  }
  await at.clock.advance(3000);
  assert.equal(at.conn.state, "reconnecting");
  at.conn.close();
});
