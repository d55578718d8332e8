import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "./support/fake.js";
import { connected, join, rejection, stoa } from "./support/stoa.js";

const bodyOf = (payload) => Buffer.from(payload).subarray(";default;;e;0;0;".length);

test("bytes of any kind are sent as they are", async () => {
  const at = await connected();
  const numbers = new Float32Array([0, 1.5, -2]).subarray(1);
  const bytes = Buffer.from(numbers.buffer, 4, 8);
  for (const body of [numbers, new DataView(numbers.buffer, 4, 8), new Uint16Array(numbers.buffer, 4, 4), bytes.buffer.slice(4, 12)]) {
    assert.ok(at.default.emit("e", body));
    assert.deepEqual(bodyOf(at.socket.take()[0]), bytes);
  }
  at.conn.close();
});

test("a body that JSON would lose is an error", async () => {
  const at = await connected();
  for (const body of [
    NaN,
    [1, Infinity],
    () => 1,
    Symbol("s"),
    new Map([[1, 2]]),
    new Set(),
    { deep: new Map() },
    { deep: [new Uint8Array(2)] },
    new Blob(["x"]),
    new ArrayBuffer(2).constructor,
    Promise.resolve(1),
    new Error("lost"),
    10n,
  ]) {
    assert.throws(() => at.default.emit("e", body), TypeError);
    assert.ok((await rejection(at.default.ask("e", body))) instanceof TypeError);
  }
  for (const [body, text] of [
    [{ a: [1, null, { b: "x" }], f: undefined }, '{"a":[1,null,{"b":"x"}]}'],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [new (class { x = 1; f() {} })(), '{"x":1}'],
    [{}, "{}"],
    [Object.create(null), "{}"],
    [[], "[]"],
    [false, "false"],
    [0, "0"],
    [null, ""],
  ]) {
    at.default.emit("e", body);
    assert.deepEqual(at.socket.take(), [`;default;;e;0;0;${text}`]);
  }
  assert.equal(at.clock.running, 1, "an ask that has failed left a timer");
  at.conn.close();
});

test("a message above the limit of the server is not sent", async () => {
  const at = await connected({ default: { big: () => stoa.reply("x".repeat(70_000)), lost: () => stoa.reply(new Map()) } });
  const drops = [];
  at.conn.on("drop", ({ message, error }) => drops.push([message.Event, error]));
  const room = 65_536 - ";default;;e;0;0;".length;
  assert.ok(at.default.emit("e", "x".repeat(room)));
  assert.ok(at.default.emit("e", "x".repeat(room % 2) + "ä".repeat(room / 2)));
  assert.ok(at.default.emit("e", new Uint8Array(room)));
  at.socket.take();
  assert.equal(at.default.emit("e", "x".repeat(room + 1)), false);
  assert.equal(at.default.emit("e", "ä".repeat(room / 2 + 1)), false);
  assert.equal(at.default.emit("e", new Float64Array(room / 8 + 1)), false);
  assert.deepEqual(drops, Array(3).fill(["e", stoa.ErrTooBig]));
  assert.equal(await rejection(at.default.ask("e", "x".repeat(70_000))), stoa.ErrTooBig);
  assert.deepEqual(at.socket.take(), []);
  at.socket.receive("7;default;;big;0;0;");
  assert.deepEqual(at.socket.take(), ["7;default;;big;1;0;message too big"]);

  const wide = await connected({ default: {} }, { messageLimit: Infinity });
  assert.ok(wide.default.emit("e", "x".repeat(1e6)));
  const narrow = await connected({ default: {} }, { messageLimit: 100 });
  assert.equal(narrow.default.emit("e", "x".repeat(100)), false);
  await join(narrow.default, "r", narrow.socket);
  assert.equal(await rejection(narrow.default.joinRoom("x".repeat(100))), stoa.ErrTooBig);
  await settle();
});
