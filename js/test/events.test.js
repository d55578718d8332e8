import assert from "node:assert/strict";
import { test } from "node:test";
import { settle } from "./support/fake.js";
import { connected, rejection, stoa } from "./support/stoa.js";

/** Receives events "chat" with the numbers from first to last. */
function receiveNumbers(socket, first, last) {
  for (let i = first; i <= last; i++) socket.receive(`;default;;chat;0;0;${i}`);
}

test("iterates over one event or all, until it is stopped or the connection closes", async () => {
  const at = await connected({ default: {} });
  const all = at.default.events();
  const chat = at.default.events("chat");
  const unread = at.default.events("other");
  for (const [event, body] of [["chat", "1"], ["other", "2"], ["chat", "3"]]) {
    at.socket.receive(`;default;;${event};0;0;${body}`);
  }
  const bodies = [];
  for await (const message of chat) {
    bodies.push(message.Body);
    if (message.Body === "4") break;
    if (message.Body === "3") at.socket.receive(";default;;chat;0;0;4");
  }
  assert.deepEqual(bodies, ["1", "3", "4"]);
  at.socket.receive(";default;;chat;0;0;5");
  assert.equal((await chat.next()).done, true);
  assert.deepEqual((await unread.return()).done, true);
  const waiting = [];
  const reading = (async () => {
    for await (const message of all) waiting.push(message.Body);
  })();
  await settle();
  at.socket.receive(";default;;chat;0;0;6");
  await settle();
  at.conn.close();
  await reading;
  assert.deepEqual(waiting, ["1", "2", "3", "4", "5", "6"]);
});

test("a loop that falls behind gets the kept messages, then an error", async () => {
  const at = await connected({ default: {} });
  for (const [options, limit] of [[undefined, 1000], [{ limit: 3 }, 3], [{}, 1000]]) {
    const stream = at.default.events("chat", options);
    receiveNumbers(at.socket, 1, limit + 2);
    const bodies = [];
    const error = await rejection(
      (async () => {
        for await (const message of stream) bodies.push(message.Body);
      })(),
    );
    assert.equal(error, stoa.ErrSlowReader);
    assert.equal(error.code, "slow_reader");
    assert.deepEqual(bodies, Array.from({ length: limit }, (_, i) => String(i + 1)));
    receiveNumbers(at.socket, 1, 1);
    assert.deepEqual(await stream.next(), { value: undefined, done: true });
  }
  at.conn.close();
});

test("the limit counts unread messages only, of this loop only", async () => {
  const at = await connected({ default: {} });
  const quick = at.default.events("chat", { limit: 2 });
  const slow = at.default.events("chat", { limit: 2 });
  for (let i = 1; i <= 6; i += 2) {
    receiveNumbers(at.socket, i, i + 1);
    assert.equal((await quick.next()).value.Body, String(i));
    assert.equal((await quick.next()).value.Body, String(i + 1));
  }
  const waiting = quick.next();
  receiveNumbers(at.socket, 7, 9);
  assert.equal((await waiting).value.Body, "7");
  assert.equal((await quick.next()).value.Body, "8");
  assert.equal((await quick.next()).value.Body, "9");
  assert.equal((await slow.return()).done, true, "return discards the error, too");
  assert.equal((await slow.next()).done, true);
  at.conn.close();
});

test("a limit of Infinity keeps all messages", async () => {
  const at = await connected({ default: {} });
  const stream = at.default.events("chat", { limit: Infinity });
  receiveNumbers(at.socket, 1, 5000);
  at.conn.close();
  let count = 0;
  for await (const { Body } of stream) assert.equal(Body, String(++count));
  assert.equal(count, 5000);
});
