import assert from "node:assert/strict";
import { test } from "node:test";
import { parse, serialize } from "../build/codec.js";
import { resolveHandlers } from "../build/handlers.js";
import { Message, toBytes, toText } from "../build/message.js";
import { absoluteURL, withParameters } from "../build/socket.js";

test("encodes and decodes messages", () => {
  for (const [name, fields, payload] of [
    ["an emit", { Namespace: "default", Event: "chat", Body: "a;b" }, ";default;;chat;0;0;a;b"],
    ["all names escaped", { wait: "$1", Namespace: "n;s", Room: ";", Event: "e;;v" }, "$1;n@%!semicolon@%!s;@%!semicolon@%!;e@%!semicolon@%!@%!semicolon@%!v;0;0;"],
    ["no-op", { wait: "7", Event: "x", isNoOp: true }, "7;;;x;0;1;"],
    ["empty", {}, ";;;;0;0;"],
  ]) {
    assert.equal(serialize(new Message(fields)), payload, name);
    assert.deepEqual(parse(payload), new Message(fields), name);
  }
});

test("bodies", () => {
  const written = (Body, more) => serialize(new Message({ Event: "e", Body, ...more }));
  assert.equal(written({ a: [1, "ü"] }), ';;;e;0;0;{"a":[1,"ü"]}');
  assert.equal(written(0), ";;;e;0;0;0");
  assert.equal(written(false), ";;;e;0;0;false");
  assert.equal(written(undefined), ";;;e;0;0;");
  assert.equal(written(null), ";;;e;0;0;");
  assert.deepEqual(Buffer.from(written(new Uint8Array([255]).buffer)), Buffer.concat([Buffer.from(";;;e;0;0;"), Buffer.from([255])]));
  assert.equal(written("ü", { IsNative: true }), "ü");
  assert.equal(serialize(new Message({ Event: "e", Err: new Error("no") })), ";;;e;1;0;no");
  assert.equal(serialize(new Message({ Event: "e", Err: new Error("") })), ";;;e;1;0;unspecified error");
});

test("bytes and text without TextEncoder and TextDecoder", (t) => {
  const { TextEncoder, TextDecoder } = globalThis;
  t.after(() => Object.assign(globalThis, { TextEncoder, TextDecoder }));
  const texts = ["", "a\n%;", "ü€😀\0", "half \ud83d a pair", "\ude00"];
  const encoded = texts.map((text) => new TextEncoder().encode(text));
  delete globalThis.TextEncoder;
  delete globalThis.TextDecoder;
  for (const [i, text] of texts.entries()) {
    assert.deepEqual(toBytes(text), encoded[i]);
    assert.equal(toText(encoded[i]), text.toWellFormed());
  }
});

test("decodes flags and errors, and rejects other payloads", () => {
  assert.equal(parse("T;;;;;;").wait, "T");
  assert.equal(parse(";;;e;2;x;b").isError, false);
  assert.equal(parse("$1;n;;e;1;0;bad room").Err.code, "bad_room");
  assert.equal(parse("$1;n;;e;1;0;").Err.message, "unspecified error");
  assert.equal(parse(Buffer.from("$1;n;;e;1;0;boom")).Err.message, "boom");
  for (const payload of ["", ";;;;;", "hello", Buffer.from(";;;;;")]) assert.equal(parse(payload), undefined);
  assert.equal(parse("@%!semicolon@%!;@%!semicolon@%!;;;;;").wait, "@%!semicolon@%!", "a token is not escaped");
});

test("random payloads: read, written and read again they are the same", () => {
  let state = 1;
  const random = (limit) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return state % limit;
  };
  const alphabet = [";", ";", ";", "@%!semicolon@%!", "@%!", "0", "1", "$", "ü", "\u0000", "name", "\ud83d\ude00"];
  for (let i = 0; i < 20_000; i++) {
    let text = "";
    for (let n = random(16); n > 0; n--) text += alphabet[random(alphabet.length)];
    const payload = random(2) ? text : new Uint8Array(Buffer.from(text));
    const message = parse(payload);
    const separators = text.split(";").length - 1;
    assert.equal(message === undefined, separators < 6, text);
    if (message) assert.deepEqual(parse(serialize(message)), message, text);
  }
});

test("URLs", () => {
  assert.equal(absoluteURL("localhost:8080/ws"), "ws://localhost:8080/ws");
  assert.equal(absoluteURL("https://host/ws?a=1"), "wss://host/ws?a=1");
  assert.equal(absoluteURL("http://host"), "ws://host");
  assert.throws(() => absoluteURL("/ws"), TypeError);
  globalThis.location = { href: "https://page.example/deep/page" };
  assert.equal(absoluteURL("/ws"), "wss://page.example/ws");
  delete globalThis.location;
  const { URL: original } = globalThis;
  globalThis.URL = class {
    href = "of React Native, with a slash more/";
  };
  assert.equal(absoluteURL("http://host/ws"), "ws://host/ws");
  globalThis.URL = original;
  assert.equal(withParameters("ws://h/?a=1?2", [["b ", "&"]]), "ws://h/?b%20=%26&a=1?2");
  assert.equal(withParameters("ws://h/", []), "ws://h/");
});

test("handlers with dangerous names", () => {
  const table = resolveHandlers(JSON.parse('{"__proto__": {}, "constructor": {}}'));
  assert.deepEqual([...table.keys()], ["__proto__", "constructor"]);
  assert.equal(table.get("default"), undefined);
});
