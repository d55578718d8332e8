import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { fakeClock, fakeWebSocket, settle } from "./support/fake.js";
import { connected, join, rejection, stoa } from "./support/stoa.js";

/** Loses the connection and lets the client dial again. */
async function lose({ WebSocket, clock, states }, code = 1006, reason = "") {
  WebSocket.last.drop(code, reason);
  await clock.advance(states.at(-1).delay ?? 20_000);
  return WebSocket.last;
}

test("rejoins its namespaces and rooms in one round trip", async () => {
  const called = [];
  const log = (ns, m) => void called.push(m.Event);
  const quiet = { _OnNamespaceDisconnect: log, _OnRoomLeft: log, _OnNamespaceConnected: log, _OnRoomJoined: log };
  const at = await connected({ b: quiet, a: quiet });
  await join(at.ns.b, "two", at.socket);
  const room = await join(at.ns.b, "one;", at.socket);
  called.length = 0;

  const socket = await lose(at);
  socket.accept("second");
  assert.deepEqual(
    socket.take().map((payload) => payload.replace(/^\$\d+/, "$")),
    [
      "M positions volatile",
      "$;b;;_OnNamespaceConnect;0;0;",
      "$;b;two;_OnRoomJoin;0;0;",
      "$;b;one@%!semicolon@%!;_OnRoomJoin;0;0;",
      "$;a;;_OnNamespaceConnect;0;0;",
    ],
  );
  assert.equal(at.conn.state, "reconnecting");
  for (let token = 5; token <= 8; token++) socket.receive(`$${token};;;;;;`);
  await settle();
  assert.equal(at.conn.state, "connected");
  assert.equal(at.conn.ID, "second");
  assert.equal(at.conn.reconnectTries, 1);
  assert.ok(at.conn.wasReconnected());
  assert.deepEqual(called, [], "handlers called for a reconnect");
  assert.ok(room.emit("say", "x"));
  assert.deepEqual(socket.take(), [";b;one@%!semicolon@%!;say;0;0;x"]);
});

test("reports every transition", async () => {
  const at = await connected({ default: {} });
  at.clock.chance = 0.5;
  at.socket.drop(1001, "node shuts down");
  await at.clock.advance(100);
  at.WebSocket.last.drop();
  await at.clock.advance(200);
  at.WebSocket.last.accept("x");
  at.WebSocket.last.answerAll();
  await settle();
  at.conn.close(3001, "bye");
  assert.deepEqual(
    at.states.map(({ state, previous, attempt, delay, code, reason }) => ({ state, previous, attempt, delay, code, reason })),
    [
      { state: "connected", previous: "connecting", attempt: 0, delay: undefined, code: undefined, reason: undefined },
      { state: "reconnecting", previous: "connected", attempt: 1, delay: 100, code: 1001, reason: "node shuts down" },
      { state: "reconnecting", previous: "reconnecting", attempt: 2, delay: 200, code: 1006, reason: "" },
      { state: "connected", previous: "reconnecting", attempt: 2, delay: undefined, code: undefined, reason: undefined },
      { state: "closed", previous: "connected", attempt: 0, delay: undefined, code: 3001, reason: "bye" },
    ],
  );
  assert.equal(at.clock.running, 0, "timers run after the close");
});

test("reports the number of attempts to the server", async () => {
  const at = await connected({ default: {} });
  const socket = await lose(at);
  assert.equal(socket.url, "ws://server/?X-Websocket-Header-X-Websocket-Reconnect=1");
});

for (const [name, code, reconnects] of [
  ["normal closure", 1000, false],
  ["going away", 1001, true],
  ["protocol error", 1002, false],
  ["no status", 1005, true],
  ["abnormal", 1006, true],
  ["policy", 1008, false],
  ["too big", 1009, false],
  ["internal error", 1011, true],
  ["service restart", 1012, true],
  ["try again later", 1013, true],
  ["slow consumer", 4000, true],
  ["invalid flood", 4001, false],
  ["ping timeout", 4002, true],
  ["unknown", 4999, true],
]) {
  test(`${reconnects ? "reconnects" : "closes"} after ${name}`, async () => {
    const at = await connected({ default: {} });
    await lose(at, code);
    assert.equal(at.conn.state, reconnects ? "reconnecting" : "closed");
    assert.equal(at.WebSocket.sockets.length, reconnects ? 2 : 1);
  });
}

test("follows the delay that a server suggests", async () => {
  for (const [reason, chance, want] of [
    ["node shuts down; retry-after=5000", 0, 5000],
    ["x;retry-after=5000", 0.5, 6250],
    ["; retry-after=999999999", 0, 40_000],
    ["retry-after=5", 0.5, 100],
    ["; retry-after=1", 0, 200],
    ["; retry-after=1", 1, 300],
    ["; retry-after=0", 1, 200],
    ["; retry-after=9999999999", 0.5, 100],
  ]) {
    const at = await connected({ default: {} });
    at.clock.chance = chance;
    at.socket.drop(1001, reason);
    assert.equal(at.states.at(-1).delay, want, reason);
    at.conn.close();
  }
});

test("spreads attempts evenly below a cap, and starts over after a stable connection", async () => {
  const at = await connected({ default: {} }, { reconnect: { base: 100, cap: 1000 } });
  const delays = [];
  at.socket.drop();
  for (let i = 0; i < 6; i++) {
    delays.push(at.states.at(-1).delay);
    await at.clock.advance(at.states.at(-1).delay);
    at.WebSocket.last.drop();
  }
  assert.deepEqual(delays, [100, 200, 400, 800, 1000, 1000]);
  await at.clock.advance(1000);
  at.WebSocket.last.accept();
  at.WebSocket.last.answerAll();
  await settle();
  at.WebSocket.last.drop();
  assert.equal(at.states.at(-1).delay, 1000, "after a short connection");
  await at.clock.advance(1000);
  at.WebSocket.last.accept();
  at.WebSocket.last.answerAll();
  await settle();
  await at.clock.advance(20_000);
  at.WebSocket.last.drop();
  assert.equal(at.states.at(-1).delay, 100, "after a stable connection");
  at.clock.chance = 0.25;
  await at.clock.advance(1000);
  at.WebSocket.last.drop();
  assert.equal(at.states.at(-1).delay, 50);
});

test("closes after the last attempt", async () => {
  const at = await connected({ default: {} }, { reconnect: { attempts: 2 } });
  for (let i = 0; i < 3; i++) {
    assert.equal(at.conn.isClosed(), false);
    await lose(at);
  }
  assert.equal(at.conn.state, "closed");
  assert.equal(at.WebSocket.sockets.length, 3);
  assert.equal(at.states.at(-1).error.code, "gave_up");
});

test("refused namespaces and rooms are removed, the others stay", async () => {
  const called = [];
  const log = (ns, m) => void called.push([m.Event, ns.namespace, m.Room, m.Err?.message, m.IsForced]);
  const handlers = { _OnNamespaceDisconnect: log, _OnRoomLeft: log };
  const at = await connected({ a: handlers, b: handlers });
  const gone = await join(at.ns.a, "r", at.socket);
  const closedRoom = await join(at.ns.b, "locked", at.socket);
  const open = await join(at.ns.b, "open", at.socket);
  const iterating = at.ns.a.events().next();
  const socket = await lose(at);
  const dropped = [];
  at.conn.on("drop", ({ message, error }) => dropped.push([message.Event, error.message]));
  gone.emit("lost1", "");
  closedRoom.emit("lost2", "");
  open.emit("kept", "");
  socket.accept();
  socket.answerAll(([token, ns, room, event]) =>
    ns === "a" || room === "locked" ? `${token};${ns};${room};${event};1;0;not today` : `${token};;;;;;`,
  );
  await settle();
  assert.equal(at.conn.state, "connected");
  assert.deepEqual(called.sort(), [
    ["_OnNamespaceDisconnect", "a", "", "not today", true],
    ["_OnRoomLeft", "a", "r", "not today", true],
    ["_OnRoomLeft", "b", "locked", "not today", true],
  ]);
  assert.equal(at.conn.namespace("a"), undefined);
  assert.deepEqual([...at.ns.b.rooms.keys()], ["open"]);
  assert.deepEqual(dropped, [
    ["lost1", "bad namespace"],
    ["lost2", "bad room"],
  ]);
  assert.deepEqual(socket.take(), [";b;open;kept;0;0;"]);
  assert.equal(closedRoom.emit("late", ""), false);
  assert.deepEqual(await iterating, { value: undefined, done: true });
});

test("is lost again before it has rejoined", async () => {
  const at = await connected({ default: {} });
  await join(at.default, "r", at.socket);
  (await lose(at)).accept("second");
  assert.ok(at.default.emit("a", "1"));
  const socket = await lose(at);
  assert.equal(at.conn.state, "reconnecting");
  socket.accept("third");
  assert.equal(socket.sent.length, 3);
  socket.answerAll();
  await settle();
  assert.equal(at.conn.state, "connected");
  assert.deepEqual(socket.take(), [";default;;a;0;0;1"]);
});

test("a rejoin that is not answered is a failed attempt", async () => {
  const at = await connected({ default: {} });
  const socket = await lose(at);
  socket.accept();
  await at.clock.advance(29_999);
  assert.equal(socket.closedWith, undefined, "the time limit is that of the dial");
  await at.clock.advance(1);
  assert.equal(at.states.at(-1).error, stoa.ErrTimeout);
  assert.ok(socket.closedWith);
});

test("a temporarily unavailable room is joined by the next attempt", async () => {
  const at = await connected({ default: {} });
  await join(at.default, "r", at.socket);
  const busy = await lose(at);
  busy.accept();
  busy.answerAll(([token, ns, room, event]) =>
    room ? `${token};${ns};${room};${event};1;0;unavailable` : `${token};;;;;;`,
  );
  await settle();
  assert.equal(at.conn.state, "reconnecting");
  assert.equal(at.states.at(-1).error.code, "unavailable");
  assert.ok(busy.closedWith);
  await at.clock.advance(1000);
  const socket = at.WebSocket.last;
  assert.notEqual(socket, busy);
  socket.accept("third");
  socket.answerAll();
  await settle();
  assert.equal(at.conn.state, "connected");
  assert.deepEqual([...at.default.rooms.keys()], ["r"]);
});

test("a refusal after a reconnect closes the connection", async () => {
  const at = await connected({ default: {} });
  const socket = await lose(at);
  socket.open();
  socket.receive("Hbanned");
  socket.drop();
  assert.equal(at.conn.state, "closed");
  assert.equal(at.states.at(-1).error.message, "banned");
});

test("dial retries until it succeeds, and rejects after a refusal", async () => {
  const WebSocket = fakeWebSocket();
  const clock = fakeClock();
  const states = [];
  const dialed = stoa.dial("ws://server", { default: {} }, { WebSocket, clock, onState: ({ state }) => states.push(state) });
  await settle();
  WebSocket.last.drop();
  await clock.advance(200);
  // No acknowledgement in time.
  WebSocket.last.open();
  await clock.advance(10_000);
  await clock.advance(400);
  WebSocket.last.accept("it");
  assert.equal((await dialed).ID, "it");
  assert.deepEqual(states, ["connecting", "connecting", "connected"]);

  const once = stoa.dial("ws://server", { default: {} }, { WebSocket, clock, reconnect: false });
  await settle();
  WebSocket.last.drop(1006);
  assert.match((await rejection(once)).message, /1006/);

  for (const [text, want] of [["go away; code=7", "go away; code=7"], ["", "unspecified error"]]) {
    const refused = stoa.dial("ws://server", { default: {} }, { WebSocket, clock });
    await settle();
    WebSocket.last.open();
    WebSocket.last.receive(`H${text}`);
    WebSocket.last.drop();
    assert.equal((await rejection(refused)).message, want);
  }

  const abort = new AbortController();
  const aborted = stoa.dial("ws://server", { default: {} }, { WebSocket, clock, signal: abort.signal });
  await settle();
  abort.abort(new Error("enough"));
  assert.equal((await rejection(aborted)).message, "enough");
  assert.ok(WebSocket.last.closedWith);
  assert.equal((await rejection(stoa.dial("ws://server", {}, { WebSocket, signal: abort.signal }))).message, "enough");
});

test("authenticates before each dial", async () => {
  let calls = 0;
  const authenticate = async () => {
    if (++calls === 2) throw new Error("no token today");
    return { headers: { Authorization: `Bearer ${calls}` }, query: { q: "a&b" } };
  };
  const WebSocket = fakeWebSocket();
  const clock = fakeClock();
  const states = [];
  const dialed = stoa.dial("ws://server/ws?x=1", { default: {} }, {
    WebSocket,
    clock,
    authenticate,
    headers: { "X-A": "ä" },
    onState: (t) => states.push(t),
  });
  await settle();
  assert.equal(
    WebSocket.last.url,
    "ws://server/ws?X-Websocket-Header-X-A=%C3%A4&X-Websocket-Header-Authorization=Bearer%201&q=a%26b&x=1",
  );
  WebSocket.last.accept();
  const conn = await dialed;
  WebSocket.last.drop();
  await clock.advance(200);
  assert.equal(states.at(-1).error.message, "no token today");
  assert.equal(WebSocket.sockets.length, 1);
  await clock.advance(400);
  assert.match(WebSocket.last.url, /Bearer%203/);
  conn.close();
});

test("an invalid URL is an error at once", async () => {
  for (const url of ["ws://", "gopher://x/"]) {
    const error = await rejection(stoa.dial(url, { default: {} }, { WebSocket: class { constructor(u) { new URL(u); throw new SyntaxError("no"); } } }));
    assert.ok(error instanceof Error, url);
  }
  assert.ok((await rejection(stoa.dial("ws://x", { a: {}, b() {} }))) instanceof TypeError);
});

const original = { addEventListener: globalThis.addEventListener, removeEventListener: globalThis.removeEventListener };
afterEach(() => {
  Object.assign(globalThis, original);
  delete globalThis.document;
});

/** A browser's window and document with the events that onWake uses. */
function browser() {
  const events = new EventTarget();
  globalThis.addEventListener = events.addEventListener.bind(events);
  globalThis.removeEventListener = events.removeEventListener.bind(events);
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "hidden" });
  return {
    online: () => events.dispatchEvent(new Event("online")),
    show(state = "visible") {
      globalThis.document.visibilityState = state;
      globalThis.document.dispatchEvent(new Event("visibilitychange"));
    },
  };
}

test("dials at once when the network or the page is back", async () => {
  const { online, show } = browser();
  const at = await connected({ default: {} });
  at.socket.drop();
  online();
  await settle();
  assert.equal(at.WebSocket.sockets.length, 2);
  online();
  await settle();
  assert.equal(at.WebSocket.sockets.length, 2, "a second dial has started");
  at.WebSocket.last.drop();
  show("hidden");
  await settle();
  assert.equal(at.WebSocket.sockets.length, 2);
  show();
  await settle();
  assert.equal(at.WebSocket.sockets.length, 3);
  at.conn.close();
  online();
  await at.clock.advance(60_000);
  assert.equal(at.WebSocket.sockets.length, 3, "dials after the close");
});

test("probes the server when the page is back", async () => {
  const { online, show } = browser();
  const at = await connected({ default: {} });
  online();
  show();
  assert.equal(at.socket.sent.length, 1, "one probe at a time");
  at.socket.answerAll();
  await at.clock.advance(60_000);
  assert.equal(at.conn.state, "connected");
  show();
  await at.clock.advance(5000);
  assert.equal(at.conn.state, "reconnecting");
  assert.ok(at.socket.closedWith);
  at.conn.close();
});
