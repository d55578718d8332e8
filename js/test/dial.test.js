import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeClock, fakeWebSocket, settle } from "./support/fake.js";
import { connected, rejection, stoa } from "./support/stoa.js";

test("an error before the connection is open ends the attempt", async () => {
  const WebSocket = fakeWebSocket();
  const clock = fakeClock();
  const states = [];
  const options = { WebSocket, clock, dialTimeout: 0, onState: (transition) => states.push(transition) };
  const dialed = stoa.dial("ws://server", { default: {} }, options);
  await settle();
  const reason = new Error("no route");
  // Node.js 22 has no close event for a dial that has failed.
  WebSocket.last.onerror({ error: reason });
  assert.deepEqual(states.map(({ error, code, delay }) => [error, code, delay]), [[reason, 1006, 200]]);
  await clock.advance(200);
  assert.equal(WebSocket.sockets.length, 2);
  WebSocket.last.accept("second");
  const conn = await dialed;
  WebSocket.last.onerror({ error: reason });
  assert.equal(conn.state, "connected", "the close event ends an open connection");
  conn.close();
});

test("events that follow the constructor at once are not lost", async () => {
  class Eager extends fakeWebSocket() {
    constructor(url) {
      super(url);
      queueMicrotask(() => this.accept("early"));
    }
  }
  const conn = await stoa.dial("ws://server", { default: {} }, { WebSocket: Eager });
  assert.equal(conn.ID, "early");
  conn.close();
});

test("close ends the connection with any code and reason", async () => {
  for (const [code, reason, want] of [
    [undefined, undefined, [1000, ""]],
    [3001, "bye", [3001, "bye"]],
    [1001, "away", [1000, "away"]],
    [99_999, "", [1000, ""]],
    [4001, "ä".repeat(100), [4001, "ä".repeat(61)]],
    [4001, "😀".repeat(100), [4001, "😀".repeat(30)]],
  ]) {
    const at = await connected();
    let closed;
    at.socket.close = (c, text) => {
      if (c !== 1000 && (c < 3000 || c > 4999)) throw new Error("InvalidAccessError");
      if (Buffer.byteLength(text) > 123) throw new Error("SyntaxError");
      closed = [c, text];
    };
    at.conn.close(code, reason);
    assert.deepEqual(closed, want);
    assert.ok(at.conn.isClosed());
    assert.equal(await rejection(at.default.ask("e")), stoa.ErrClosed);
  }
});
