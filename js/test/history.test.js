import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "./support/fake.js";
import { connected, rejection, stoa } from "./support/stoa.js";

/** A client in "a" of a server with positions, and the calls of its handlers. */
async function start({ id = "id0 positions", gate, onJoin } = {}) {
  const heard = [];
  const handlers = {
    say: async (ns, m) => {
      heard.push(`${m.Body} at "${m.position}", room at "${ns.room(m.Room)?.position}"`);
      await gate;
    },
    _OnHistoryGap: (ns, m) => void heard.push(`gap in ${m.Room} at "${m.position}"`),
    _OnHistoryRemoved: (ns, m) => void heard.push(`"${m.position}" removed from ${m.Room}`),
    _OnRoomJoin: onJoin ?? (() => undefined),
  };
  return { ...(await connected({ a: handlers }, {}, id)), heard };
}

/** Answers joins with a body, and other requests with nothing; returns the joins. */
function grant(socket, body) {
  const joins = [];
  socket.answerAll(([token, , , event, , , ...parameters]) => {
    if (!event.startsWith("_OnRoom")) return `${token};;;;;;`;
    joins.push(`${event} ${parameters.join(";")}`);
    return `${token};a;r;_OnRoomJoin;0;0;${body}`;
  });
  return joins;
}

/** Joins "r"; returns the room and the request. */
async function enter(at, body, options) {
  const joining = at.ns.a.joinRoom("r", options);
  await settle();
  const [request] = grant(at.WebSocket.last, body);
  return { room: await joining, request };
}

/** Loses the connection and dials again; returns the request to join "r". */
async function reconnect(at, id, body) {
  at.WebSocket.last.drop();
  await at.clock.advance(20_000);
  at.WebSocket.last.accept(id);
  const [request] = grant(at.WebSocket.last, body);
  await settle();
  return request;
}

const say = (at, position, text) => at.WebSocket.last.receive(`@${position};a;r;say;0;0;${text}`);

test("a join at a text that is no position rejects", async () => {
  const at = await start();
  for (const position of ["p1\n", "p 1", "ä", "x".repeat(25)]) {
    const error = await rejection(at.ns.a.joinRoom("r", { position }));
    assert.ok(error instanceof stoa.StoaError);
    assert.deepEqual([error.code, error.message], ["bad_options", `bad options: position ${JSON.stringify(position)}`]);
  }
  assert.deepEqual(at.socket.take(), []);
  // Storages return null for nothing.
  const { request } = await enter(at, "0,p1,0;", { position: null });
  assert.equal(request, "_OnRoomRecover ,0,;");
});

test("the newest messages follow a join", async () => {
  const at = await start();
  assert.equal(at.conn.ID, "id0");
  const { room, request } = await enter(at, "0,p2,2;hello", { history: 50 });
  assert.equal(request, "_OnRoomRecover ,50,;");
  assert.equal(room.recovered, false);
  assert.equal(room.position, "");
  say(at, "p1", "one");
  say(at, "p2", "two");
  at.socket.receive(";a;r;say;0;0;volatile");
  say(at, "p3", "three");
  await settle();
  assert.deepEqual(at.heard, [
    'one at "p1", room at "p1"',
    'two at "p2", room at "p2"',
    'volatile at "", room at "p2"',
    'three at "p3", room at "p3"',
  ]);
});

for (const [name, body, recovered, position] of [
  ["recovered", "1,p9,0;", true, "p9"],
  ["not recovered", "0,p9,0;", false, "p9"],
  ["no history", "0,,0;", false, ""],
  ["malformed", "1,p 9,0;", false, ""],
]) {
  test(`a join at a position: ${name}`, async () => {
    const at = await start();
    const { room, request } = await enter(at, body, { position: "p1" });
    assert.equal(request, "_OnRoomRecover p1,0,;");
    assert.deepEqual([room.recovered, room.position], [recovered, position]);
    // The result of the join says it; the handler is for later gaps.
    assert.deepEqual(at.heard, []);
  });
}

test("a server without positions gets a plain join", async () => {
  const at = await start({ id: "id0" });
  const { room, request } = await enter(at, "1,p9,0;", { history: 50, position: "p1" });
  assert.equal(request, "_OnRoomJoin ");
  assert.deepEqual([room.recovered, room.position], [false, ""]);
});

test("what was missed arrives once, before new messages", async () => {
  const at = await start();
  const { room } = await enter(at, "0,p1,0;", { history: 1 });
  assert.equal(room.position, "p1");
  say(at, "p2", "two");
  // Cut off in the middle of the recovery.
  assert.equal(await reconnect(at, "id1 positions", "1,p5,2;"), "_OnRoomRecover p2,0,id0;");
  say(at, "p3", "three");
  assert.equal(await reconnect(at, "id2 positions", "1,p5,1;"), "_OnRoomRecover p3,0,id0;");
  say(at, "p4", "four");
  // The last one, p5, was of this client.
  assert.equal(await reconnect(at, "id3 positions", "1,p5,0;"), "_OnRoomRecover p5,0,id2;");
  assert.ok(room.recovered);
  say(at, "p6", "six");
  await settle();
  assert.deepEqual(at.heard, [
    'two at "p2", room at "p2"',
    'three at "p3", room at "p3"',
    'four at "p4", room at "p5"',
    'six at "p6", room at "p6"',
  ]);
});

for (const [name, id, body, position] of [
  ["not recovered", "id1 positions", "0,p8,0;", "p8"],
  ["history switched off", "id1 positions", "0,,0;", ""],
  ["another server", "id1", "", ""],
]) {
  test(`a gap after a reconnect: ${name}`, async () => {
    const at = await start();
    const { room } = await enter(at, "0,p1,0;");
    await reconnect(at, id, body);
    at.WebSocket.last.receive(";a;r;say;0;0;new");
    await settle();
    assert.deepEqual(at.heard, [`gap in r at "${position}"`, `new at "", room at "${position}"`]);
    assert.equal(room.recovered, false);
    // It is reported once.
    await reconnect(at, "id2 positions", position ? "1,p8,0;" : "0,,0;");
    assert.equal(at.heard.length, 2);
  });
}

test("a gap after a join of the server, which came first", async () => {
  const at = await start();
  await enter(at, "0,p1,0;");
  at.WebSocket.last.drop();
  await at.clock.advance(20_000);
  at.WebSocket.last.accept("id1 positions");
  at.WebSocket.last.receive("7;a;r;_OnRoomJoin;0;0;");
  say(at, "p9", "nine");
  grant(at.WebSocket.last, "0,,0;");
  await settle();
  assert.deepEqual(at.heard.sort(), ['gap in r at ""', 'nine at "p9", room at "p9"']);
  assert.equal(await reconnect(at, "id2 positions", "1,p9,0;"), "_OnRoomRecover p9,0,id1;");
});

test("notices of the server", async () => {
  const at = await start();
  await enter(at, "0,p1,0;");
  for (const notice of ["r;_OnHistoryGap;0;0;p4", "r;_OnHistoryGap;0;0;", "s;_OnHistoryGap;0;0;", "r;_OnHistoryRemoved;0;0;p1", "r;_OnHistoryRemoved;0;0;"]) {
    at.socket.receive(`;a;${notice}`);
  }
  assert.deepEqual(at.heard, ['gap in r at "p4"', 'gap in r at ""', '"p1" removed from r', '"" removed from r']);
});

test("the position of a room follows the handlers", async () => {
  let open;
  const at = await start({ gate: new Promise((resolve) => (open = resolve)) });
  const { room } = await enter(at, "0,p1,0;");
  for (const position of ["p2", "p3", "p4"]) say(at, position, position);
  assert.equal(room.position, "p2");
  assert.equal(await reconnect(at, "id1 positions", "1,p4,0;"), "_OnRoomRecover p4,0,id0;");
  assert.equal(room.position, "p2");
  open();
  await settle();
  assert.equal(room.position, "p4");
});

test("messages that arrive while the join is being decided", async () => {
  let decide;
  const at = await start({ onJoin: () => new Promise((resolve) => (decide = resolve)) });
  const joining = at.ns.a.joinRoom("r", { position: "p0" });
  await settle();
  grant(at.socket, "1,p2,2;");
  say(at, "p1", "one");
  say(at, "p2", "two");
  decide();
  const room = await joining;
  assert.deepEqual([room.recovered, room.position], [true, "p2"]);
  assert.equal(await reconnect(at, "id1 positions", "1,p2,0;"), "_OnRoomRecover p2,0,id0;");
});

test("nothing that begins like a position is answered", async () => {
  const at = await start();
  await enter(at, "0,p1,0;");
  for (const payload of ["@not a position;a;r;say;0;0;x", "@p;b;;say;0;0;x", "@p;a;;unknown;0;0;x", "@p;a;r;_OnRoomLeave;0;0;"]) at.socket.receive(payload);
  await settle();
  assert.deepEqual(at.socket.take(), []);
  assert.deepEqual(at.heard, ['x at "", room at "p1"']);
});

test("reading the history", async () => {
  const at = await start({ id: "id0" });
  const { room } = await enter(at, "");
  const entries = [
    { position: "p1", time: 1700000000123, event: "e", body: "one", user: "u" },
    { position: "p2", time: 1, event: "f", binary: "AP8=" },
    { position: "p3", time: 1, event: "f", binary: "" },
    { position: "p4", time: 1, event: "g" },
  ];
  const reading = room.history({ limit: 4, before: "p5", oldest: true });
  at.socket.answerAll((fields) => {
    assert.deepEqual(fields.slice(1), ["a", "r", "_OnHistory", "0", "0", '{"limit":4,"before":"p5","oldest":true}']);
    return `${fields[0]};a;r;_OnHistory;0;0;${JSON.stringify({ entries, more: true, found: false })}`;
  });
  assert.deepEqual(await reading, {
    entries: [
      { position: "p1", time: 1700000000123, event: "e", body: "one", user: "u" },
      { position: "p2", time: 1, event: "f", body: Uint8Array.of(0, 255) },
      { position: "p3", time: 1, event: "f", body: new Uint8Array() },
      { position: "p4", time: 1, event: "g", body: "" },
    ],
    more: true,
    found: false,
  });
  const refused = rejection(room.history());
  at.socket.answerAll(([token]) => `${token};a;r;_OnHistory;1;0;unhandled event`);
  assert.equal(await refused, stoa.ErrUnhandled);
});
