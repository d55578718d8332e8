import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeClock, fakeWebSocket, settle } from "./support/fake.js";
import { connected, rejection, stoa } from "./support/stoa.js";

/** Dials, and answers the hello with a refusal. */
async function refused(text, options = {}) {
  const WebSocket = fakeWebSocket();
  const clock = fakeClock();
  const states = [];
  const dialed = stoa.dial("ws://server", { default: {} }, { WebSocket, clock, onState: (t) => states.push(t), ...options });
  dialed.catch(() => undefined);
  await settle();
  const socket = WebSocket.last;
  socket.open();
  socket.receive(`H${text}`);
  return { WebSocket, clock, states, dialed, socket };
}

test("the close code after a refusal says what to do", async () => {
  for (const [code, text, word] of [
    [4401, "log in again", "unauthorized"],
    [4403, "not you", "forbidden"],
    [1008, "a policy", "remote"],
    [4999, "a code of the application", "remote"],
    [1006, "cut", "remote"],
    [1006, "forbidden", "forbidden"],
  ]) {
    const { dialed, socket, states, WebSocket } = await refused(text);
    socket.drop(code, "the reason");
    const error = await rejection(dialed);
    assert.ok(error instanceof stoa.StoaError);
    assert.deepEqual([error.message, error.code], [text, word]);
    const { state, final, code: seen, reason } = states.at(-1);
    assert.deepEqual([state, final, seen, reason], ["closed", true, code, "the reason"]);
    assert.equal(WebSocket.sockets.length, 1, `dialed again after ${code}`);
  }
});

test("a refusal for now is retried after the suggested delay", async () => {
  for (const [code, reason, delay] of [
    [1013, "full; retry-after=5000", 5000],
    [1012, "", 200],
    [1011, "failed", 200],
  ]) {
    const { dialed, socket, states, clock, WebSocket } = await refused("come back later");
    clock.chance = delay === 5000 ? 0 : 1;
    socket.drop(code, reason);
    assert.equal(states.at(-1).error.message, "come back later");
    assert.equal(states.at(-1).delay, delay);
    await clock.advance(delay);
    WebSocket.last.accept("second");
    const conn = await dialed;
    assert.equal(conn.ID, "second");
    conn.close();
  }
});

test("a refusal is final if the server does not close", async () => {
  const { dialed, clock } = await refused("not you", { dialTimeout: 500 });
  await clock.advance(500);
  assert.equal((await rejection(dialed)).message, "not you");
});

test("an open connection ends for the same reasons", async () => {
  for (const [code, word] of [[4401, "unauthorized"], [4403, "forbidden"], [1008, "closed"]]) {
    let error, closed;
    const at = await connected({ default: { _OnNamespaceDisconnect: (_, m) => void (error = m.Err) } });
    at.conn.on("state", (transition) => void (closed = transition));
    at.socket.drop(code, "the session has expired");
    await settle();
    assert.equal(closed.error, error);
    assert.equal(at.conn.state, "closed");
    assert.deepEqual([error.message, error.code], ["the session has expired", word]);
  }
});
