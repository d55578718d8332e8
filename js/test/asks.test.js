import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "./support/fake.js";
import { connected, join, rejection, stoa } from "./support/stoa.js";

const tokenOf = (payload) => payload.split(";", 1)[0];

test("answers, errors and their codes", async () => {
  const at = await connected({ default: {} });
  const ask = at.default.ask("sum", { a: 1 });
  await settle();
  const [sent] = at.socket.take();
  assert.match(sent, /^\$\d+;default;;sum;0;0;\{"a":1\}$/);
  at.socket.receive(`${tokenOf(sent)};default;;sum;0;0;{"total":2}`);
  assert.deepEqual((await ask).unmarshal(), { total: 2 });

  for (const [text, message, code] of [
    ["boom;1", "boom;1", "remote"],
    ["bad room", "bad room", "bad_room"],
    ["forbidden", "forbidden", "forbidden"],
    ["internal error", "internal error", "internal_error"],
    ["", "unspecified error", "remote"],
  ]) {
    const failing = rejection(at.default.ask("x", ""));
    await settle();
    at.socket.receive(`${tokenOf(at.socket.take()[0])};default;;x;1;0;${text}`);
    const error = await failing;
    assert.deepEqual([error.message, error.code], [message, code]);
    assert.ok(error instanceof stoa.StoaError);
  }
});

test("timeouts", async () => {
  const at = await connected({ default: {} });
  const short = rejection(at.default.ask("x", "", { timeout: 50 }));
  const standard = rejection(at.default.ask("x", ""));
  let endless = "pending";
  at.default.ask("x", "", { timeout: 0 }).catch((error) => (endless = error));
  await settle();
  await at.clock.advance(50);
  assert.equal(await short, stoa.ErrTimeout);
  await at.clock.advance(29_950);
  assert.equal(await standard, stoa.ErrTimeout);
  await at.clock.advance(1e9);
  assert.equal(endless, "pending");
  // Late answers and answers to unknown tokens are dropped.
  for (const token of ["$2", "$3", "$99", "$02", "7"]) at.socket.receive(`${token};;;;;;`);
  at.conn.close();
  await settle();
  assert.equal(endless, stoa.ErrClosed);
});

test("signals", async () => {
  const at = await connected({ default: {}, later: {} });
  at.ns.later.disconnect();
  at.socket.answerAll();
  await settle();
  const abort = new AbortController();
  const { signal } = abort;
  const asks = [
    at.default.ask("x", "", { signal }),
    at.default.joinRoom("r", { signal }),
    at.default.disconnect({ signal }),
    at.conn.waitServerConnect("later", { signal }),
  ].map(rejection);
  await settle();
  abort.abort(new Error("enough"));
  for (const ask of asks) assert.equal((await ask).message, "enough");
  assert.equal((await rejection(at.default.ask("x", "", { signal }))).message, "enough");
});

test("one signal serves many asks and connections", async () => {
  const abort = new AbortController();
  const { signal } = abort;
  const listeners = [];
  const add = signal.addEventListener;
  signal.addEventListener = (...parameters) => {
    listeners.push(parameters);
    add.apply(signal, parameters);
  };
  const at = await connected({ default: {} }, { signal });
  const other = await connected({ default: {} }, { signal });
  const asks = Array.from({ length: 11 }, () => rejection(at.default.ask("x", "", { signal })));
  assert.equal(listeners.length, 1, "Node.js warns of more than ten");
  other.conn.close();
  abort.abort();
  await Promise.all(asks);
  assert.ok(at.conn.isClosed());
});

test("every promise settles when the connection is lost or closed", async () => {
  for (const [end, want] of [
    [(at) => at.socket.drop(), stoa.ErrDisconnected],
    [(at) => at.socket.drop(1000), stoa.ErrDisconnected],
    [(at) => at.conn.close(), stoa.ErrClosed],
  ]) {
    const at = await connected({ default: {}, other: {} });
    const room = await join(at.default, "r", at.socket);
    const all = [
      at.default.ask("x", ""),
      at.conn.ask({ Namespace: "default", Event: "y" }),
      at.default.joinRoom("s"),
      room.leave(),
      at.default.leaveAll(),
      at.default.disconnect(),
      at.conn.disconnectAll(),
    ].map(rejection);
    await settle();
    end(at);
    for (const promise of all) assert.equal(await promise, want);
    at.conn.close();
    assert.equal(await rejection(at.default.ask("x", "")), stoa.ErrClosed);
    assert.equal(await rejection(at.conn.connect("default")), stoa.ErrClosed);
    assert.ok(stoa.isCloseError(want));
    assert.equal(at.clock.running, 0, "timers run after the close");
  }
});

test("waiting for the server to connect a namespace", async () => {
  const at = await connected({ default: {}, pushed: {} });
  assert.equal(await at.conn.waitServerConnect("default"), at.default);
  assert.equal(await rejection(at.conn.waitServerConnect("unknown")), stoa.ErrBadNamespace);
  at.ns.pushed.disconnect();
  at.socket.answerAll();
  await settle();
  const timed = rejection(at.conn.waitServerConnect("pushed", { timeout: 10 }));
  await at.clock.advance(10);
  assert.equal(await timed, stoa.ErrTimeout);
  const waiting = at.conn.waitServerConnect("pushed");
  at.socket.receive("7;pushed;;_OnNamespaceConnect;0;0;");
  assert.equal((await waiting).namespace, "pushed");
  assert.deepEqual(at.socket.take(), ["7;;;;;;"]);
  await settle();
  at.conn.namespace("pushed").disconnect();
  at.socket.answerAll();
  await settle();
  const closing = rejection(at.conn.waitServerConnect("pushed"));
  at.conn.close();
  assert.equal(await closing, stoa.ErrClosed);
});

test("a request that the server accepts too late is reverted", async () => {
  const at = await connected({ default: {}, other: {} });
  at.ns.other.disconnect();
  at.socket.answerAll();
  await settle();
  const late = [
    at.conn.connect("other", { timeout: 1 }),
    at.default.joinRoom("r", { timeout: 1 }),
  ].map(rejection);
  await settle();
  await at.clock.advance(1);
  for (const promise of late) assert.equal(await promise, stoa.ErrTimeout);
  at.socket.answerAll();
  assert.deepEqual(
    at.socket.take().map((payload) => payload.replace(/^\$\d+/, "$")),
    ["$;other;;_OnNamespaceDisconnect;0;0;", "$;default;r;_OnRoomLeave;0;0;"],
  );
  const room = await join(at.default, "r", at.socket);
  const leaving = rejection(room.leave({ timeout: 1 }));
  await settle();
  await at.clock.advance(1);
  assert.equal(await leaving, stoa.ErrTimeout);
  assert.equal(at.default.room("r"), room);
  at.socket.answerAll();
  await settle();
  assert.equal(at.default.room("r"), undefined);
});

test("requests that cross are refused", async () => {
  const at = await connected({ default: {} });
  const room = await join(at.default, "r", at.socket);
  const leaving = room.leave();
  await settle();
  at.socket.take();
  at.socket.receive("9;default;r;_OnRoomJoin;0;0;");
  assert.deepEqual(at.socket.take(), ["9;default;r;_OnRoomJoin;1;0;unavailable"]);
  at.socket.receive("$3;;;;;;");
  await leaving;
  const joining = at.default.joinRoom("s");
  await settle();
  at.socket.take();
  at.socket.receive("10;default;s;_OnRoomLeave;0;0;");
  assert.deepEqual(at.socket.take(), ["10;default;s;_OnRoomLeave;1;0;bad room"]);
  at.socket.receive("$4;;;;;;");
  assert.equal((await joining).name, "s");
});

test("refusals reject", async () => {
  const at = await connected({ default: {} });
  const room = await join(at.default, "r", at.socket);
  const refuse = ([token, namespace, name, event]) => `${token};${namespace};${name};${event};1;0;no`;
  for (const request of [() => at.default.joinRoom("x"), () => room.leave(), () => at.default.leaveAll(), () => at.default.disconnect()]) {
    const refused = rejection(request());
    await settle();
    at.socket.answerAll(refuse);
    assert.equal((await refused).message, "no");
  }
  assert.equal(at.default.room("r"), room);
  assert.equal(at.conn.namespace("default"), at.default);
  at.conn.close();
});

test("handlers refuse", async () => {
  let strict = false;
  const at = await connected({
    default: { _OnRoomJoin: (ns, m) => (m.Room === "never" ? new Error("not me") : undefined) },
    shut: {
      async _OnNamespaceConnect(ns, m) {
        if (m.Body === "no" || (m.IsLocal && strict)) throw new Error("shut");
      },
    },
  });
  const refused = rejection(at.default.joinRoom("never"));
  await settle();
  at.socket.answerAll();
  assert.equal((await refused).message, "not me");
  assert.match(at.socket.sent[0], /;default;never;_OnRoomLeave;/, "the server had accepted the join");
  at.socket.answerAll();
  at.socket.receive("5;default;never;_OnRoomJoin;0;0;");
  assert.deepEqual(at.socket.take(), ["5;default;never;_OnRoomJoin;1;0;not me"]);
  at.ns.shut.disconnect();
  await settle();
  at.socket.answerAll();
  await settle();
  at.socket.receive("6;shut;;_OnNamespaceConnect;0;0;no");
  await settle();
  assert.deepEqual(at.socket.take(), ["6;shut;;_OnNamespaceConnect;1;0;shut"]);
  strict = true;
  assert.equal((await rejection(at.conn.connect("shut"))).message, "shut");
  assert.deepEqual(at.socket.take(), []);
});
