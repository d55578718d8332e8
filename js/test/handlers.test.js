import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeWebSocket, settle } from "./support/fake.js";
import { connected, join, stoa } from "./support/stoa.js";

/** A promise and a function that resolves it. */
function gate() {
  let open;
  const promise = new Promise((resolve) => (open = resolve));
  return { promise, open };
}

test("handlers run in order, one after the other, and may ask", async () => {
  const log = [];
  const first = gate();
  const at = await connected({
    default: {
      async slow(ns, m) {
        log.push(`slow ${m.Body}`);
        await first.promise;
        const answer = await ns.ask("what", "");
        log.push(`answer ${answer.Body}`);
      },
      quick: (ns, m) => void log.push(`quick ${m.Body}`),
    },
  });
  at.socket.receive(";default;;quick;0;0;0");
  assert.deepEqual(log, ["quick 0"], "handled synchronously");
  at.socket.receive(";default;;slow;0;0;1");
  at.socket.receive(";default;;quick;0;0;2");
  at.socket.receive("4;default;r;_OnRoomJoin;0;0;");
  await settle();
  assert.deepEqual(log, ["quick 0", "slow 1"]);
  first.open();
  await settle();
  assert.equal(at.socket.sent.length, 1);
  at.socket.answerAll(([token]) => `${token};default;;what;0;0;this`);
  await settle();
  assert.deepEqual(log, ["quick 0", "slow 1", "answer this", "quick 2"]);
  assert.deepEqual(at.socket.take(), ["4;;;;;;"]);
});

test("a handler may do everything inside a handler", async () => {
  const done = gate();
  const at = await connected({
    default: {
      async go(ns) {
        const room = await ns.joinRoom("r");
        room.emit("e", "x");
        await room.leave();
        await ns.disconnect();
        const again = await ns.conn.connect("default");
        again.conn.close();
        done.open();
      },
    },
  });
  at.socket.receive(";default;;go;0;0;");
  for (let i = 0; i < 6; i++) {
    await settle();
    at.socket.answerAll();
  }
  await done.promise;
  assert.ok(at.conn.isClosed());
});

test("results of handlers answer asks only", async () => {
  const at = await connected({
    default: {
      echo: (ns, m) => stoa.reply(m.Body),
      empty: () => stoa.reply(""),
      object: () => stoa.reply({ a: 1 }),
      late: async () => stoa.reply("later"),
      nothing: () => undefined,
      fail: () => new Error("boom"),
      throws() {
        throw new TypeError("thrown");
      },
    },
  });
  for (const [event, want] of [
    ["echo", "1;default;;echo;0;0;b;1"],
    ["empty", "1;default;;empty;0;0;"],
    ["object", '1;default;;object;0;0;{"a":1}'],
    ["late", "1;default;;late;0;0;later"],
    ["nothing", "1;default;;nothing;0;0;"],
    ["fail", "1;default;;fail;1;0;boom"],
    ["throws", "1;default;;throws;1;0;thrown"],
    ["missing", "1;default;;missing;1;0;unhandled event"],
    ["_OnRoomJoined", "1;default;;_OnRoomJoined;1;0;unhandled event"],
  ]) {
    at.socket.receive(`1;default;;${event};0;0;b;1`);
    await settle();
    assert.deepEqual(at.socket.take(), [want]);
  }
  const errors = [];
  at.conn.on("error", (error) => errors.push(error.message));
  for (const event of ["echo", "fail", "throws", "missing", "_OnRoomJoined", "_OnNamespaceDisconnect"]) {
    at.socket.receive(`;default;;${event};0;0;b`);
  }
  // An error that answers nothing.
  at.socket.receive("1;default;;echo;1;0;b");
  await settle();
  assert.deepEqual(at.socket.take(), []);
  assert.deepEqual(errors, ["thrown"]);
});

test("binary messages", async () => {
  const bodies = [];
  const at = await connected({
    default: {
      bin(ns, m) {
        bodies.push([m.Body, m.SetBinary]);
        return stoa.reply(m.Body);
      },
      fail: () => new Error("boom"),
    },
  });
  const bytes = new Uint8Array([0, 59, 255]);
  const frame = (head, body) => Buffer.concat([Buffer.from(head), body]);
  at.socket.receive(frame("1;default;;bin;0;0;", bytes));
  assert.deepEqual(bodies, [[bytes, true]]);
  assert.deepEqual(Buffer.from(at.socket.take()[0]), frame("1;default;;bin;0;0;", bytes));
  at.socket.receive(frame("1;default;;fail;0;0;", bytes));
  assert.deepEqual(at.socket.take(), ["1;default;;fail;1;0;boom"], "errors are text");
  at.default.emit("bin", bytes);
  at.default.emitBinary("bin", bytes);
  at.conn.write({ Namespace: "default", Event: "bin", Body: "ü", SetBinary: true });
  assert.deepEqual(at.socket.take().map((payload) => Buffer.from(payload)), [
    frame(";default;;bin;0;0;", bytes),
    frame(";default;;bin;0;0;", bytes),
    Buffer.from(";default;;bin;0;0;ü"),
  ]);
});

test("messages to unconnected namespaces and unjoined rooms are refused", async () => {
  const at = await connected({ default: {} });
  assert.equal(at.conn.write({ Namespace: "other", Event: "e" }), false);
  assert.equal(at.conn.write({ Namespace: "default", Room: "r", Event: "e" }), false);
  assert.equal(at.default.emit(stoa.OnRoomLeave, ""), false);
  const room = await join(at.default, "r", at.socket);
  assert.equal(await join(at.default, "r", at.socket), room);
  const leaving = room.leave();
  at.socket.answerAll();
  await leaving;
  assert.equal(room.emit("e", ""), false);
  assert.deepEqual(at.socket.take(), []);
});

test("any event, maps, and handlers without a namespace", async () => {
  const log = [];
  const on = (name) => (ns, m) => void log.push(`${name} ${m.Event}`);
  const at = await connected(new Map([["default", new Map([["_OnAnyEvent", on("any")], ["own", on("own")]])]]));
  at.socket.receive(";default;;own;0;0;");
  at.socket.receive(";default;;other;0;0;");
  assert.deepEqual(log.slice(-2), ["own own", "any other"]);
  assert.equal(log[0], "any _OnNamespaceConnect");
  const { conn, socket } = await connectedFlat({ e: on("flat") });
  const connecting = conn.connect("");
  await settle();
  socket.answerAll();
  await connecting;
  socket.receive(";;;e;0;0;");
  assert.equal(log.at(-1), "flat e");
  conn.close();
});

async function connectedFlat(handlers) {
  const WebSocket = fakeWebSocket();
  const dialed = stoa.dial("ws://server", handlers, { WebSocket });
  await settle();
  WebSocket.last.accept();
  const conn = await dialed;
  WebSocket.last.take();
  return { conn, socket: WebSocket.last };
}

test("native messages", async () => {
  const bodies = [];
  const { conn, socket } = await connectedFlat({ _OnNativeMessage: (ns, m) => void bodies.push(m.Body) });
  const connecting = conn.connect("");
  await settle();
  socket.answerAll();
  await connecting;
  socket.receive("hello native");
  socket.receive(Buffer.from([1, 2]));
  assert.deepEqual(bodies, ["hello native", new Uint8Array([1, 2])]);
  assert.ok(conn.write({ IsNative: true, Body: "back" }));
  assert.deepEqual(socket.take(), ["back"]);
  conn.close();
});

test("handlers of the close run after the earlier messages, and only once", async () => {
  const log = [];
  const first = gate();
  const run = async (ns, m) => {
    log.push(`${m.Event} ${m.Room || m.Body}`.trim());
    if (m.Body === "slow") await first.promise;
  };
  const at = await connected({ default: { e: run, _OnRoomLeave: run, _OnRoomLeft: run, _OnNamespaceDisconnect: run } });
  await join(at.default, "r", at.socket);
  at.socket.receive(";default;;e;0;0;slow");
  at.socket.receive(";default;;e;0;0;2");
  at.socket.drop(1008, "enough");
  assert.ok(at.conn.isClosed());
  first.open();
  await settle();
  assert.deepEqual(log, ["e slow", "e 2", "_OnRoomLeave r", "_OnRoomLeft r", "_OnNamespaceDisconnect"]);
  assert.equal(at.default.rooms.size, 0);
  assert.equal(at.conn.namespace("default"), undefined);
  at.conn.close();
  assert.equal(log.length, 5);
});

test("after close only the handlers of the close run", async () => {
  const log = [];
  const at = await connected({
    default: {
      async e(ns, m) {
        log.push(m.Body);
        ns.conn.close();
      },
      _OnNamespaceDisconnect: (ns, m) => void log.push(`end ${m.IsForced} ${m.IsLocal}`),
    },
  });
  at.socket.receive(";default;;e;0;0;1");
  at.socket.receive(";default;;e;0;0;2");
  await settle();
  assert.deepEqual(log, ["1", "end true true"]);
});

test("a reply that cannot be sent does not delay the next message", async () => {
  const circular = {};
  circular.self = circular;
  const log = [];
  const at = await connected({ default: { bad: () => stoa.reply(circular), e: (ns, m) => void log.push(m.Body) } });
  const unhandled = new Promise((resolve) => {
    const others = process.listeners("unhandledRejection");
    process.removeAllListeners("unhandledRejection");
    process.once("unhandledRejection", (error) => {
      for (const listener of others) process.on("unhandledRejection", listener);
      resolve(error);
    });
  });
  at.socket.receive("1;default;;bad;0;0;");
  at.socket.receive(";default;;e;0;0;next");
  assert.ok((await unhandled) instanceof TypeError);
  assert.deepEqual(log, ["next"]);
  at.conn.close();
});

test("a thousand messages in order, with and without promises", async () => {
  const bodies = [];
  const at = await connected({
    default: {
      e(ns, m) {
        if (m.Body % 7) return void bodies.push(m.Body);
        return settle().then(() => void bodies.push(m.Body));
      },
    },
  });
  const want = Array.from({ length: 1000 }, (_, i) => String(i));
  for (const body of want) at.socket.receive(`;default;;e;0;0;${body}`);
  while (bodies.length < want.length) await settle();
  assert.deepEqual(bodies, want);
});
