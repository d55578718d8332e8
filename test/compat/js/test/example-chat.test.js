// examples/chat with neffos.js clients.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";

import * as neffos from "neffos.js";

import { Inbox } from "../support/client.js";
import { limit, startExample } from "../support/program.js";

let program;
before(async () => {
  program = await startExample("chat");
});
after(async () => {
  assert.equal(await program.stop(), 0, program.output);
});

/** Dials under a name and connects; the inbox collects the messages. */
async function enter(name) {
  const inbox = new Inbox(`messages of ${name}`);
  const receive = (_, message) => {
    if (neffos.isSystemEvent(message.Event)) return;
    inbox.add({ event: message.Event, room: message.Room, body: message.Body });
  };
  const query = name === "" ? "" : `?name=${encodeURIComponent(name)}`;
  const conn = await neffos.dial(program.url + query, { chat: { [neffos.OnAnyEvent]: receive } });
  return { conn, inbox, ns: await conn.connect("chat") };
}

it("tells the members of a room who comes and goes", limit, async () => {
  const ada = await enter("Ada");
  const ben = await enter("Ben στοά");
  await ada.ns.joinRoom("porch");
  await ben.ns.joinRoom("porch");
  await ben.ns.room("porch").leave();
  const cai = await enter("Cai");
  await cai.ns.joinRoom("porch");
  cai.conn.close();
  assert.deepEqual(await ada.inbox.count(4), [
    { event: "came", room: "porch", body: "Ben στοά" },
    { event: "went", room: "porch", body: "Ben στοά" },
    { event: "came", room: "porch", body: "Cai" },
    { event: "went", room: "porch", body: "Cai" },
  ]);
  for (const person of [ada, ben]) person.conn.close();
});

it("refuses a join without a name", limit, async () => {
  const nameless = await enter("");
  await assert.rejects(nameless.ns.joinRoom("hall"), /say who you are: dial with \?name=/);
  assert.equal(nameless.ns.rooms.size, 0);
  nameless.conn.close();
});

it("refuses a connection with a name that is too long", limit, async () => {
  await assert.rejects(enter("x".repeat(41)));
});

it("corrects messages before it relays them", limit, async () => {
  const ada = await enter("Ada");
  const ben = await enter("Ben");
  await ada.ns.joinRoom("hall");
  await ben.ns.joinRoom("hall");
  await ada.inbox.event("came");

  const hall = ben.ns.room("hall");
  hall.emit("chat", "  good evening \n");
  hall.emit("chat", "where is that Bloody key?");
  hall.emit("chat", "   ");
  hall.emit("came", "The Queen");
  hall.emit("chat", "found it");
  const heard = await ada.inbox.until(
    (items) => items.at(-1).body === "Ben: found it" && items,
    "the last message",
  );
  assert.deepEqual(heard.slice(1), [
    { event: "chat", room: "hall", body: "Ben: good evening" },
    { event: "chat", room: "hall", body: "Ben: found it" },
  ]);
  assert.deepEqual(await ben.inbox.count(2), [
    { event: "refused", room: "hall", body: "no swearing, please" },
    { event: "refused", room: "hall", body: "there is nothing in it" },
  ]);
  for (const person of [ada, ben]) person.conn.close();
});
