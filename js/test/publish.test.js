import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "./support/fake.js";
import { connected, rejection, stoa } from "./support/stoa.js";

/** A client in the room "r" of "a", on a server with history. */
async function start(id = "id0 positions", options = {}) {
  const at = await connected({ a: {} }, options, id);
  const joining = at.ns.a.joinRoom("r");
  await settle();
  at.socket.answerAll(([token]) => `${token};a;r;_OnRoomJoin;0;0;0,p0,0;`);
  return { ...at, room: await joining };
}

/** Loses the connection and rejoins on the next one. */
async function reconnect(at) {
  at.WebSocket.last.drop();
  await at.clock.advance(20_000);
  at.WebSocket.last.accept("id1 positions");
  at.WebSocket.last.answerAll();
  at.WebSocket.last.answerAll(([token]) => `${token};a;r;_OnRoomJoin;0;0;1,p0,0;`);
  await settle();
}

/** Returns the requests to publish that were sent, as [token, id, event, body]. */
const requests = (at) =>
  at.WebSocket.last.take().flatMap((payload) => {
    const match = /^(\$\d+);a;r;_OnRoomPublish;0;0;(.*?),(.*?);(.*)$/s.exec(Buffer.from(payload).toString("latin1"));
    return match ? [match.slice(1)] : [];
  });

const answer = (at, token, text, isError = false) => at.WebSocket.last.receive(`${token};a;r;_OnRoomPublish;${isError ? 1 : 0};0;${text}`);

/** Publishes; the promise may be rejected before the test looks at it. */
function quietly(room, ...call) {
  const publishing = room.publish(...call);
  publishing.catch(() => undefined);
  return publishing;
}

/** Checks the error of a publish that ended without an answer. */
async function ends(promise, code, cause) {
  const error = await rejection(promise);
  assert.ok(error instanceof stoa.StoaError);
  assert.deepEqual([error.code, error.cause], [code, cause]);
}

test("a publish resolves to the position", async () => {
  const at = await start();
  const publishing = at.room.publish("say;this", "a;b", { id: "i d" });
  const [[token, ...request]] = requests(at);
  assert.deepEqual(request, ["i d", "say@%!semicolon@%!this", "a;b"]);
  answer(at, token, "p1");
  assert.equal(await publishing, "p1");

  const binary = at.room.publish("raw", new Uint8Array([255, 0]), { id: "2" });
  const payload = at.socket.sent[0];
  assert.ok(payload instanceof Uint8Array);
  const [[next, ...bytes]] = requests(at);
  assert.deepEqual(bytes, ["2", "raw", "\xff\0"]);
  answer(at, next, "p2");
  assert.equal(await binary, "p2");

  const objects = [at.room.publish("say", { n: 1 }), at.room.publish("say")];
  const [one, two] = requests(at);
  assert.deepEqual([one[3], two[3]], ['{"n":1}', ""]);
  assert.match(one[1], /^\d+(-\d+){3}$/);
  assert.notEqual(one[1], two[1]);
  answer(at, two[0], "p4");
  answer(at, one[0], "p3");
  assert.deepEqual(await Promise.all(objects), ["p3", "p4"]);
});

test("a publish that cannot begin rejects", async () => {
  const at = await start();
  assert.equal(await rejection(at.room.publish("_OnRoomJoin")), stoa.ErrInvalidName);
  for (const id of ["", "a,b", "a;b", "ä", "x".repeat(65)]) {
    const error = await rejection(at.room.publish("say", "", { id }));
    assert.ok(error instanceof stoa.StoaError);
    assert.deepEqual([error.code, error.message], ["bad_options", `bad options: ID ${JSON.stringify(id)}`]);
  }
  assert.equal(await rejection(at.room.publish("say", "x".repeat(65_536))), stoa.ErrTooBig);
  assert.ok((await rejection(at.room.publish("say", 1n))) instanceof TypeError);
  assert.deepEqual(requests(at), []);
  const leaving = at.room.leave();
  at.socket.answerAll();
  await leaving;
  assert.equal(await rejection(at.room.publish("say")), stoa.ErrBadRoom);
  at.conn.close();
  assert.equal(await rejection(at.room.publish("say")), stoa.ErrClosed);

  const other = await start("id0");
  assert.equal(await rejection(other.room.publish("say")), stoa.ErrUnhandled);
});

test("a message without an answer is sent again with the same ID", async () => {
  const at = await start();
  const publishing = at.room.publish("say", "x", { timeout: 0 });
  const [[, id]] = requests(at);
  await reconnect(at);
  assert.deepEqual(requests(at).map(([, again]) => again), [id]);
  await reconnect(at);
  const [[token, again]] = requests(at);
  assert.equal(again, id);
  answer(at, token, "p1");
  assert.equal(await publishing, "p1");
});

test("while the server is unavailable, the room waits", async () => {
  const at = await start();
  const one = at.room.publish("say", "1", { id: "1" });
  let [[token]] = requests(at);
  for (let i = 0; i < 3; i++) {
    answer(at, token, "unavailable", true);
    const two = i ? undefined : at.room.publish("say", "2", { id: "2" });
    assert.deepEqual(requests(at), []);
    await at.clock.advance(5000);
    const sent = requests(at);
    assert.deepEqual(sent.map(([, id]) => id), i ? ["1"] : ["1", "2"]);
    token = sent[0][0];
    if (!two) continue;
    answer(at, sent[1][0], "p2");
    assert.equal(await two, "p2");
  }
  answer(at, token, "p3");
  assert.equal(await one, "p3");
});

test("no pause outlives the connection", async () => {
  const at = await start();
  const publishing = quietly(at.room, "say", "1", { timeout: 0 });
  answer(at, requests(at)[0][0], "unavailable", true);
  at.conn.close();
  at.WebSocket.last.drop();
  await ends(publishing, "unconfirmed", stoa.ErrClosed);
  await settle();
  assert.equal(at.clock.running, 0);
});

test("the refusal of the first copy is final, that of a later one is not certain", async () => {
  const at = await start();
  const first = at.room.publish("say", "x");
  answer(at, requests(at)[0][0], "id reused", true);
  assert.equal(await rejection(first), stoa.ErrIDReused);
  const second = at.room.publish("say", "x");
  await reconnect(at);
  answer(at, requests(at)[0][0], "forbidden", true);
  await ends(second, "unconfirmed", stoa.ErrForbidden);
  const strange = at.room.publish("say", "x");
  answer(at, requests(at)[0][0], "no position");
  await ends(strange, "unconfirmed", stoa.ErrInvalidPayload);
});

test("the end of a publish says whether the message may be published", async () => {
  const at = await start();
  const controller = new AbortController();
  const aborted = quietly(at.room, "say", "1", { signal: controller.signal });
  const late = quietly(at.room, "say", "2", { timeout: 1000 });
  const lateToo = quietly(at.room, "say", "3");
  controller.abort("stop");
  await ends(aborted, "unconfirmed", "stop");
  await at.clock.advance(2000);
  await ends(late, "unconfirmed", stoa.ErrTimeout);
  await at.clock.advance(30_000);
  await ends(lateToo, "unconfirmed", stoa.ErrTimeout);
  const left = quietly(at.room, "say", "4");
  at.socket.take();
  const leaving = at.room.leave();
  at.socket.answerAll();
  await leaving;
  await ends(left, "unconfirmed", stoa.ErrBadRoom);

  const lost = await start();
  const sent = quietly(lost.room, "say", "1");
  lost.socket.drop();
  await settle();
  const unsent = quietly(lost.room, "say", "2");
  const short = quietly(lost.room, "say", "3", { timeout: 1 });
  await ends(quietly(lost.room, "say", "4", { signal: AbortSignal.abort("early") }), "not_published", "early");
  await lost.clock.advance(10);
  await ends(short, "not_published", stoa.ErrTimeout);
  lost.conn.close();
  await ends(sent, "unconfirmed", stoa.ErrClosed);
  await ends(unsent, "not_published", stoa.ErrClosed);
});

test("messages are sent in the order of the calls", async () => {
  const at = await start();
  const all = Array.from({ length: 100 }, (_, i) => quietly(at.room, "say", `${i}`, { id: `${i}`, timeout: 0 }));
  const sent = requests(at);
  assert.equal(sent.length, 32);
  answer(at, sent[0][0], "p0");
  assert.deepEqual(requests(at).map(([, id]) => id), ["32"]);
  await reconnect(at);
  const order = [];
  for (let batch; (batch = requests(at)).length; ) {
    for (const [token, id] of batch) {
      order.push(+id);
      answer(at, token, `p${id}`);
    }
  }
  assert.deepEqual(order, Array.from({ length: 99 }, (_, i) => i + 1));
  assert.deepEqual(await Promise.all(all), Array.from({ length: 100 }, (_, i) => `p${i}`));
});

test("a message is not sent again after 90 seconds", async () => {
  const at = await start();
  const tried = quietly(at.room, "say", "1", { timeout: 0 });
  let copies = 0;
  for (let seconds = 0; seconds < 95; seconds++) {
    for (const [token] of requests(at)) {
      copies++;
      answer(at, token, "unavailable", true);
    }
    await at.clock.advance(1000);
  }
  await ends(tried, "unconfirmed", stoa.ErrUnavailable);
  assert.ok(copies > 10, `${copies} copies`);
  await at.clock.advance(5000);
  assert.equal(at.clock.running, 0);

  // One that was in flight at that time is not lost, but not sent again.
  const slow = quietly(at.room, "say", "2", { timeout: 0 });
  await at.clock.advance(100_000);
  answer(at, requests(at)[0][0], "p2");
  assert.equal(await slow, "p2");
  const asleep = quietly(at.room, "say", "3", { timeout: 0 });
  at.clock.suspend(100_000);
  at.WebSocket.last.drop();
  await ends(asleep, "unconfirmed", stoa.ErrDisconnected);
});

test("the answer to a canceled message makes room for others", async () => {
  const at = await start();
  const controller = new AbortController();
  const canceled = Array.from({ length: 32 }, () => rejection(quietly(at.room, "say", "x", { signal: controller.signal })));
  const sent = requests(at);
  controller.abort();
  await Promise.all(canceled);
  const next = quietly(at.room, "say", "y");
  assert.deepEqual(requests(at), []);
  answer(at, sent[0][0], "p1");
  answer(at, requests(at)[0][0], "p2");
  assert.equal(await next, "p2");
});
