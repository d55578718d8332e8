import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeClock, fakeWebSocket, settle } from "./support/fake.js";
import { connected, rejection, stoa } from "./support/stoa.js";

const notice = ";;;_OnAuthenticate;0;0;32000";

/** Connects a client whose tokens are numbered; refuse makes one fail. */
async function renewing(refuse = () => undefined) {
  let calls = 0;
  const renewals = [];
  const authenticate = async () => refuse(++calls) ?? `token ${calls}`;
  const at = await connected({ default: {} }, { authenticate });
  at.conn.on("renewal", (renewal) => renewals.push(renewal));
  return { ...at, renewals, calls: () => calls };
}

test("a token is sent as browsers can", async () => {
  for (const [authenticate, query] of [
    [() => "a b", "X-Websocket-Header-Authorization=Bearer%20a%20b"],
    [() => ({ query: { token: "x" } }), "token=x"],
    [() => undefined, undefined],
  ]) {
    const WebSocket = fakeWebSocket();
    stoa.dial("ws://server/", { default: {} }, { WebSocket, clock: fakeClock(), authenticate });
    await settle();
    assert.equal(WebSocket.last.url, `ws://server/${query ? `?${query}` : ""}`);
    WebSocket.last.open();
    assert.deepEqual(WebSocket.last.take(), ["M positions volatile expiry"]);
  }
  const WebSocket = fakeWebSocket();
  stoa.dial("ws://server/", { default: {} }, { WebSocket, clock: fakeClock() });
  await settle();
  WebSocket.last.open();
  assert.deepEqual(WebSocket.last.take(), ["M positions volatile"]);
});

test("hands in new tokens until the server takes one", async () => {
  const { socket, clock, renewals, conn } = await renewing();
  socket.receive(notice);
  socket.receive(notice); // one is enough
  for (let i = 2; i <= 4; i++) {
    await settle();
    const [payload, ...more] = socket.take();
    assert.match(payload, new RegExp(`^\\$\\d+;;;_OnAuthenticate;0;0;token ${i}$`));
    assert.equal(more.length, 0);
    const [token] = payload.split(";");
    socket.receive(i < 4 ? `${token};;;_OnAuthenticate;1;0;unauthorized` : `${token};;;;;;`);
    await settle();
    const { error, delay } = renewals.at(-1);
    if (i === 4) {
      assert.deepEqual([error, delay], [undefined, undefined]);
      break;
    }
    assert.equal(error, stoa.ErrUnauthorized);
    assert.equal(delay, 1000 * 2 ** (i - 2));
    assert.equal(socket.take().length, 0);
    await clock.advance(delay);
  }
  // The next identity has a notice of its own.
  socket.receive(notice);
  await settle();
  assert.match(socket.take()[0], /token 5$/);
  conn.close();
  await settle();
  assert.equal(clock.running, 0);
});

test("gives up when the time is over", async () => {
  const { socket, clock, renewals, calls } = await renewing((call) => {
    if (call > 1) throw new Error("no token today");
  });
  socket.receive(notice);
  await clock.advance(100_000);
  assert.deepEqual(renewals.map(({ delay }) => delay), [1000, 2000, 4000, 8000, 16_000, undefined]);
  assert.equal(calls(), 7);
});

test("an authenticate that is unauthorized or has no token ends the renewal", async () => {
  for (const refuse of [
    (call) => {
      if (call > 1) throw stoa.ErrUnauthorized;
    },
    (call) => (call > 1 ? { query: { a: "b" } } : undefined),
  ]) {
    const { socket, clock, renewals, conn } = await renewing(refuse);
    socket.receive(notice);
    await settle();
    assert.deepEqual(renewals.map(({ error, delay }) => [error.code, delay]), [["unauthorized", undefined]]);
    assert.equal(conn.state, "connected");
    assert.equal(clock.running, 1); // the timer of a stable connection
  }
});

test("an authenticate that is unauthorized ends dialing", async () => {
  const WebSocket = fakeWebSocket();
  const authenticate = () => Promise.reject(stoa.ErrUnauthorized);
  const error = await rejection(stoa.dial("ws://server/", { default: {} }, { WebSocket, clock: fakeClock(), authenticate }));
  assert.equal(error, stoa.ErrUnauthorized);
  assert.equal(WebSocket.sockets.length, 0);
});

test("a lost connection ends its renewal", async () => {
  const { socket, clock, renewals, conn, WebSocket } = await renewing();
  socket.receive(notice);
  await settle();
  assert.equal(socket.take().length, 1);
  socket.drop(4004, "identity expired");
  await clock.advance(200);
  assert.equal(WebSocket.sockets.length, 2);
  assert.match(WebSocket.last.url, /Bearer%20token%203&/);
  WebSocket.last.accept("second");
  await settle();
  WebSocket.last.answerAll();
  await settle();
  assert.equal(conn.state, "connected");
  assert.deepEqual(renewals, []);
  WebSocket.last.receive(notice);
  await settle();
  assert.match(WebSocket.last.take()[0], /token 4$/);
});

test("without authenticate the close is final and notices are ignored", async () => {
  const { socket, conn, states, WebSocket } = await connected();
  socket.receive(notice);
  await settle();
  assert.deepEqual(socket.take(), []);
  socket.drop(4004, "identity expired");
  await settle();
  assert.equal(conn.state, "closed");
  assert.deepEqual([states.at(-1).error.code, states.at(-1).error.message], ["unauthorized", "identity expired"]);
  assert.equal(WebSocket.sockets.length, 1);
});

test("notices that make no sense are ignored", async () => {
  const { socket, calls } = await renewing();
  for (const body of ["", "x", "-1", "0"]) socket.receive(`;;;_OnAuthenticate;0;0;${body}`);
  socket.receive("7;;;_OnAuthenticate;0;0;100"); // as a request
  await settle();
  assert.deepEqual(socket.take(), ["7;;;_OnAuthenticate;1;0;unhandled event"]);
  assert.equal(calls(), 1);
});
