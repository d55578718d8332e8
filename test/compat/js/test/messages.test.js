import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, it } from "node:test";

import { enter } from "../support/client.js";
import { eachTransport, limit, startProgram } from "../support/program.js";

const texts = {
  "an empty body": "",
  "semicolons": ";;;;;;a;b;;",
  "only a semicolon": ";",
  "what looks like a message": "$1;default;hall;chat;1;1;body",
  "the escape of a semicolon": "@%!semicolon@%!",
  "newlines": "one\ntwo\r\nthree\n\n",
  "NUL and control characters": "a\u0000b\u0007\u001b[31m",
  "Unicode": "Ωραία στοά, 柱廊, 🏛️👩‍👩‍👧 e\u0301 \u202eabc\u202c \ufeff",
  "JSON": JSON.stringify({ text: "a;b\n\"c\"", list: [1, null] }),
  "60 KB": "0123456789abcde;".repeat(60 * 64),
  "60 KB of three-byte characters": "柱".repeat(20 * 1024),
};

const names = {
  "semicolons": "one;two;;three;",
  "spaces and quotes": " \"a\" 'b' <c> & d ",
  "Unicode": "στοά 🏛️",
  "a slash and dots": "../../etc/*?[x]",
  "newlines": "a\nb\r\nc",
};

eachTransport("messages of neffos.js", (args) => {
  let program;
  let sender;
  let receivers;

  before(async () => {
    program = await startProgram({ args });
    sender = await enter(program.url, "sender", ["hall"]);
    receivers = [
      await enter(program.url, "receiver", ["hall"]),
      await enter(program.url, "witness", ["hall"]),
    ];
  });
  after(async () => {
    for (const person of [sender, ...receivers]) person?.close();
    await program.kill();
  });

  for (const [title, body] of Object.entries(texts)) {
    it(`arrive unchanged: ${title}`, limit, async () => {
      const earlier = receivers.map((person) => person.messages.items.length);
      assert.equal(sender.ns.room("hall").emit("chat", body), true);
      for (const [index, person] of receivers.entries()) {
        const message = (await person.messages.count(earlier[index] + 1)).at(-1);
        assert.deepEqual(
          { event: message.event, room: message.room, namespace: message.namespace },
          { event: "chat", room: "hall", namespace: "default" },
        );
        assert.equal(message.body, body);
      }
    });
  }

  for (const [title, name] of Object.entries(names)) {
    it(`keep names of rooms and events: ${title}`, limit, async () => {
      const receiver = receivers[0];
      const room = `room ${name}`;
      const event = `event ${name}`;
      await sender.ns.joinRoom(room);
      await receiver.ns.joinRoom(room);
      sender.ns.room(room).emit(event, name);
      const message = await receiver.messages.event(event);
      assert.equal(message.room, room);
      assert.equal(message.body, name);
    });
  }

  const binaries = {
    "every byte": Uint8Array.from({ length: 256 }, (_, index) => index),
    "60 KB of random bytes": randomBytes(60 * 1024),
    "invalid UTF-8": Uint8Array.of(0xff, 0xfe, 0xc0, 0x80),
    "semicolons": new TextEncoder().encode(";;;;;;;;"),
    "one zero byte": Uint8Array.of(0),
  };
  for (const [title, body] of Object.entries(binaries)) {
    it(`stay binary: ${title}`, limit, async () => {
      const earlier = receivers.map((person) => person.messages.items.length);
      assert.equal(sender.emitBinary("hall", "file", body), true);
      for (const [index, person] of receivers.entries()) {
        const message = (await person.messages.count(earlier[index] + 1)).at(-1);
        assert.equal(message.event, "file");
        assert.ok(message.body instanceof ArrayBuffer, "a binary body arrives as an ArrayBuffer");
        assert.ok(Buffer.from(message.body).equals(Buffer.from(body)), "the bytes are the same");
      }
    });
  }

  it("over the limit close only their sender, with 1009", limit, async () => {
    const loud = await enter(program.url, "loud", ["hall"]);
    const closed = loud.closed();
    loud.ns.room("hall").emit("chat", "x".repeat(70 * 1024));
    assert.equal(await closed, 1009);
    const receiver = receivers[0];
    sender.ns.room("hall").emit("after the loud one", "");
    const message = await receiver.messages.event("after the loud one");
    assert.equal(message.body, "");
    assert.ok(receiver.messages.items.every((item) => item.body.length !== 70 * 1024));
  });
});
