import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeClock, fakeWebSocket, settle } from "./support/fake.js";
import { connected, rejection, stoa } from "./support/stoa.js";

/** A client in the room "r" of "a" that keeps a roster. */
async function start(id = "id0") {
  const roster = new stoa.Roster();
  const heard = [];
  const handlers = {
    _OnPresence: (ns, m) => {
      heard.push(m.Body);
      return roster.apply(ns, m);
    },
  };
  const at = await connected({ a: handlers }, {}, id);
  const joining = at.ns.a.joinRoom("r");
  await settle();
  answer(at);
  return { ...at, room: await joining, roster, heard };
}

/** Answers requests with nothing, and reads of the members with these bodies. Returns the queries. */
function answer(at, ...bodies) {
  const queries = [];
  at.WebSocket.last.answerAll(([token, , , event, , , ...query]) => {
    if (event !== "_OnPresence") return `${token};;;;;;`;
    queries.push(query.join(";"));
    const body = bodies.shift();
    return body.startsWith("!") ? `${token};a;r;_OnPresence;1;0;${body.slice(1)}` : `${token};a;r;_OnPresence;0;0;${body}`;
  });
  return queries;
}

/** Loads the roster of a room. */
async function load(at, room, body) {
  const loading = at.roster.load(room);
  await settle();
  answer(at, body);
  await loading;
}

const shown = ({ count, members }) => `${count} ${members.map(({ user, conn, info }) => `${user ?? conn}${info ? JSON.stringify(info) : ""}`).join(" ")}`;
const change = (at, body) => at.WebSocket.last.receive(`;a;r;_OnPresence;0;0;${body}`);

test("the hello names presence if a handler wants it", async () => {
  for (const [handlers, options, hello] of [
    [{ a: {} }, {}, "M positions volatile"],
    [{ a: {}, b: { _OnPresence: () => undefined } }, {}, "M positions volatile presence"],
    [{ b: { _OnPresence: () => undefined } }, { authenticate: () => "token" }, "M positions volatile expiry presence"],
  ]) {
    const WebSocket = fakeWebSocket();
    void stoa.dial("ws://server/", handlers, { WebSocket, clock: fakeClock(), ...options });
    await settle();
    WebSocket.last.open();
    assert.deepEqual(WebSocket.last.take(), [hello]);
  }
});

test("reads the members of a room", async () => {
  const at = await start();
  const read = async (query, body) => {
    const reading = at.room.presence(query);
    await settle();
    const queries = answer(at, body);
    return [queries, await reading];
  };
  assert.deepEqual(await read({ limit: 2, after: "x" }, '{"members":[{"user":"ann","conns":2}],"count":9,"next":"y"}'), [
    ['{"limit":2,"after":"x"}'],
    { members: [{ user: "ann", conns: 2 }], count: 9, next: "y" },
  ]);
  assert.deepEqual(await read(undefined, '{"members":[],"count":9}'), [["{}"], { members: [], count: 9 }]);
  assert.equal(await rejection(read({}, "!unhandled event").then(() => undefined)), stoa.ErrUnhandled);
});

test("a roster follows the changes", async () => {
  const at = await start();
  const loading = at.roster.load(at.room);
  await settle();
  assert.deepEqual(answer(at, '{"members":[{"conn":"c1","conns":1},{"user":"ann","info":{"x":1}}],"count":3,"next":"uann"}'), ['{"limit":500}']);
  await settle();
  // This arrives between the pages, and must not get lost.
  change(at, '{"joined":[{"user":"dan"}],"left":[{"conn":"c1"}],"count":3}');
  await settle();
  assert.deepEqual(answer(at, '{"members":[{"user":"bob"}],"count":3}'), ['{"limit":500,"after":"uann"}']);
  await loading;
  assert.equal(shown(at.roster), '3 ann{"x":1} bob dan');
  change(at, '{"left":[{"user":"bob"},{"user":"unknown"}],"count":2}');
  at.WebSocket.last.receive(';a;s;_OnPresence;0;0;{"count":9}');
  at.WebSocket.last.receive(';b;r;_OnPresence;0;0;{"count":9}');
  await settle();
  assert.equal(shown(at.roster), '2 ann{"x":1} dan');
  change(at, '{"count":7}');
  await settle();
  assert.equal(at.roster.count, 7);
  assert.equal(at.heard.length, 3);
});

test("a roster is read again after a reconnect", async () => {
  const at = await start();
  await load(at, at.room, '{"members":[{"user":"bob"}],"count":1}');
  at.WebSocket.last.drop();
  await at.clock.advance(20_000);
  at.WebSocket.last.accept("id1");
  answer(at);
  await settle();
  assert.deepEqual(at.heard, ['{"stale":true,"count":0}']);
  // A change that arrives before the answer is handled after it.
  change(at, '{"joined":[{"user":"eve"}],"count":2}');
  answer(at, '{"members":[{"user":"ann"},{"user":"eve"}],"count":2}');
  await settle();
  assert.equal(shown(at.roster), "2 ann eve");
  assert.equal(at.heard.length, 2);
});

test("a roster is unchanged if its pages cannot be read", async () => {
  const at = await start();
  await load(at, at.room, '{"members":[{"user":"ann"}],"count":1}');
  const loads = [at.roster.load(at.room), at.roster.load(at.room)];
  await settle();
  answer(at, "!unavailable");
  assert.equal(await rejection(loads[0]), stoa.ErrUnavailable);
  assert.equal(shown(at.roster), "1 ann");
  await settle();
  answer(at, '{"members":[{"user":"bob"}],"count":1}');
  await loads[1];
  assert.equal(shown(at.roster), "1 bob");
});

test("a roster is that of one room", async () => {
  const at = await start();
  const joining = at.ns.a.joinRoom("s");
  await settle();
  answer(at);
  const other = await joining;
  const changed = async (room, user) => {
    at.WebSocket.last.receive(`;a;${room};_OnPresence;0;0;{"joined":[{"user":"${user}"}],"count":2}`);
    await settle();
  };
  await changed("r", "early");
  assert.equal(shown(at.roster), "0 ");
  await load(at, at.room, '{"members":[{"user":"ann"}],"count":1}');
  await changed("s", "bob");
  assert.equal(shown(at.roster), "1 ann");
  await changed("r", "cid");
  assert.equal(shown(at.roster), "2 ann cid");

  // While the roster of the other room is loaded, the old one stays.
  const loading = at.roster.load(other);
  await settle();
  await changed("s", "dan");
  await changed("r", "eve");
  assert.equal(shown(at.roster), "2 ann cid eve");
  answer(at, '{"members":[{"user":"fay"}],"count":1}');
  await loading;
  assert.equal(shown(at.roster), "2 dan fay");
  await changed("r", "gil");
  assert.equal(shown(at.roster), "2 dan fay");

  // A room that is stale is read again if it is that of the roster.
  at.WebSocket.last.drop();
  await at.clock.advance(20_000);
  at.WebSocket.last.accept("id1");
  answer(at);
  await settle();
  assert.equal(at.heard.filter((body) => body.includes("stale")).length, 2);
  assert.deepEqual(answer(at, '{"members":[{"user":"hal"}],"count":1}'), ['{"limit":500}']);
  await settle();
  assert.equal(shown(at.roster), "1 hal");
});

test("a roster whose first load has failed is loaded after the reconnect", async () => {
  const at = await start();
  const loading = at.roster.load(at.room);
  await settle();
  at.WebSocket.last.drop();
  assert.equal(await rejection(loading), stoa.ErrDisconnected);
  await at.clock.advance(20_000);
  at.WebSocket.last.accept("id1");
  answer(at);
  await settle();
  answer(at, '{"members":[{"user":"ann"}],"count":1}');
  await settle();
  assert.equal(shown(at.roster), "1 ann");
});
