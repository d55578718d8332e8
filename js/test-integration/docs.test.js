// Runs the JavaScript of docs/presence.md, and that of docs/clients.md about the
// history of rooms.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, afterEach, before, it } from "node:test";

import * as stoa from "stoa-client";

import { closeGuests, dial, enter, limit } from "./support/guest.js";
import { Inbox } from "../../test/compat/js/support/client.js";
import { startProgram } from "../../test/compat/js/support/program.js";

// A member that has left is shown as one soon.
process.env.STOA_TIMEOUTS_PRESENCE_GRACE = "100ms";

let program;
before(async () => {
  program = await startProgram();
});
after(() => program.kill());
afterEach(closeGuests);

/** Returns the blocks of JavaScript or TypeScript below a heading. */
async function blocks(page, heading) {
  const text = await readFile(new URL(`../../docs/${page}`, import.meta.url), "utf8");
  const start = text.indexOf(`\n## ${heading}\n`);
  assert.notEqual(start, -1, `${page} has a section "${heading}"`);
  const end = text.indexOf("\n## ", start + 1);
  return [...text.slice(start, end).matchAll(/```[jt]s\n(.*?)```/gs)].map(([, code]) => code);
}

/** Runs code as the body of an asynchronous function with these variables. */
function run(code, variables, result = "undefined") {
  const body = code.replace(/^import \{[^}]*\} from "stoa-client";$/m, "");
  const AsyncFunction = (async () => {}).constructor;
  const names = Object.keys(variables);
  return new AsyncFunction(...names, `"use strict";\n${body}\nreturn ${result};`)(...Object.values(variables));
}

it("the roster of presence.md follows the members", limit, async () => {
  const [code, ...more] = await blocks("presence.md", "What clients see");
  assert.deepEqual(more, []);
  const shown = new Inbox("the shown members");
  const show = (members, count) => shown.add(`${members.length} ${count}`);
  const conn = await run(code, { ...stoa, url: program.url, show }, "conn");
  try {
    await shown.until((items) => items.at(-1) === "1 1", "the member itself");
    const ben = await enter(program.url, "ben", ["lobby"]);
    await shown.until((items) => items.at(-1) === "2 2", "the other member");
    ben.close();
    await shown.until((items) => items.at(-1) === "1 1" && items.includes("2 2"), "its leave");
  } finally {
    conn.close();
  }
});

/** Fills the history of a room. */
async function fill(room, count) {
  const ada = await enter(program.url, "ada", [room]);
  for (let number = 1; number <= count; number++) ada.ns.room(room).emit("chat", `${number}`);
  await ada.ns.room(room).history({ limit: 1 }); // the answer follows the emits
  return ada;
}

it("the program of clients.md continues at its position, or begins anew", limit, async () => {
  const [code] = await blocks("clients.md", "The history of rooms");
  const ada = await fill("lobby", 3);
  let list;
  const chat = (_, { Body }) => list.add(Body);
  const clear = () => list.add("clear");
  const localStorage = {};
  const setInterval = (task) => (localStorage.save = task);
  const start = async () => {
    const ben = await dial(program.url, "ben", { events: { default: { chat } } });
    const namespace = await ben.conn.connect("default");
    list = new Inbox("the list of Ben");
    const room = await run(code, { namespace, localStorage, clear, setInterval }, "room");
    return { ben, room };
  };
  const upTo = (last) => list.until((items) => items.at(-1) === last && items, last);

  const first = await start();
  assert.deepEqual(await upTo("3"), ["clear", "1", "2", "3"]);
  localStorage.save();
  first.ben.close();
  ada.ns.room("lobby").emit("chat", "4");
  await ada.ns.room("lobby").history({ limit: 1 });

  const second = await start();
  assert.deepEqual(await upTo("4"), ["4"]);
  second.ben.close();

  localStorage.position = "unknown";
  const third = await start();
  assert.deepEqual(await upTo("4"), ["clear", "1", "2", "3", "4"]);
  third.ben.close();
});

it("the handler for gaps of clients.md reads the missing messages", limit, async () => {
  const [, code] = await blocks("clients.md", "The history of rooms");
  const ada = await fill("cellar", 5);
  const room = ada.ns.room("cellar");
  const { entries } = await room.history();
  const shown = [];
  const show = (body) => shown.push(body);
  const clear = () => shown.push("clear");
  const { chat, _OnHistoryGap: gap } = await run(code, { show, clear }, "events");
  const handle = ({ body, position }) => chat(ada.ns, { Body: body, position });

  handle(entries[0]);
  await gap(ada.ns, { Room: "cellar", position: entries[3].position });
  handle(entries[4]);
  assert.deepEqual(shown.splice(0), ["1", "2", "3", "4", "5"]);

  const short = { room: () => ({ history: () => ({ found: false, entries: entries.slice(3), more: false }) }) };
  await gap(short, { Room: "cellar", position: "" });
  assert.deepEqual(shown, ["clear", "4", "5"]);
});

it("the pages of clients.md are read backwards", limit, async () => {
  const [, , code, ...more] = await blocks("clients.md", "The history of rooms");
  assert.deepEqual(more, []);
  const ada = await fill("hall", 30);
  const entries = await run(code, { room: ada.ns.room("hall") }, "entries");
  assert.deepEqual(entries.map(({ body }) => body), Array.from({ length: 10 }, (_, index) => `${index + 1}`));
});

it("the confirmed emit of clients.md has a position, and is published once", limit, async () => {
  const [code] = await blocks("clients.md", "Publish once");
  const ada = await fill("orders", 0);
  const room = ada.ns.room("orders");
  const keep = () => assert.fail("it is confirmed");
  for (let copy = 0; copy < 2; copy++) await run(code, { room, order: { id: "order-4711-8f9d", count: 2 }, keep });
  const { entries } = await room.history();
  assert.deepEqual(entries.map(({ event, body }) => [event, JSON.parse(body).count]), [["order", 2]]);
});
