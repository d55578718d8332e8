// examples/force-connect with neffos.js clients.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";

import * as neffos from "neffos.js";

import { Inbox } from "../support/client.js";
import { limit, startExample } from "../support/program.js";

let program;
before(async () => {
  program = await startExample("force-connect");
});
after(async () => {
  assert.equal(await program.stop(), 0, program.output);
});

/** Dials as a client that answers with this ticket when the server asks for it. */
async function visit(ticket) {
  const inbox = new Inbox(`events of the visitor with ${ticket}`);
  const receive = (_, message) => {
    inbox.add({ event: message.Event, room: message.Room, body: message.Body });
    return message.Event === "ticket" ? neffos.reply(ticket) : null;
  };
  const conn = await neffos.dial(program.url, { tour: { [neffos.OnAnyEvent]: receive } });
  return { conn, inbox };
}

/** The events without those that neffos.js fires before it follows the server. */
function happened(items) {
  const asked = [neffos.OnNamespaceConnect, neffos.OnRoomJoin, neffos.OnRoomLeave];
  return items
    .filter((item) => !asked.includes(item.event))
    .map((item) => [item.event, item.room ?? ""].join(" ").trim());
}

// neffos row 21: waitServerConnect notices a connect that the server starts at once.
it("brings clients in without being asked", limit, async () => {
  const { conn, inbox } = await visit("paid");
  const ns = await conn.waitServerConnect("tour");
  const welcome = await inbox.event("welcome");
  assert.equal(welcome.room, "entrance");
  assert.deepEqual([...ns.rooms.keys()], ["entrance"]);
  assert.deepEqual(happened(inbox.items), [
    neffos.OnNamespaceConnected,
    `${neffos.OnRoomJoined} entrance`,
    "welcome entrance",
  ]);
  conn.close();
});

it("asks from inside a handler and moves the client", limit, async () => {
  const { conn, inbox } = await visit("paid");
  await inbox.event("welcome");
  const ns = conn.namespace("tour");
  ns.emit("go", "kitchen");
  await inbox.until((items) => items.find((item) => item.body === "This is kitchen."), "a welcome");
  assert.deepEqual([...ns.rooms.keys()], ["kitchen"]);
  assert.deepEqual(happened(inbox.items).slice(3), [
    "ticket",
    `${neffos.OnRoomJoined} kitchen`,
    `${neffos.OnRoomLeft} entrance`,
    "welcome kitchen",
  ]);
  conn.close();
});

it("takes a client without a ticket out again", limit, async () => {
  const { conn, inbox } = await visit("lost");
  await inbox.event("welcome");
  conn.namespace("tour").emit("go", "kitchen");
  await inbox.event(neffos.OnNamespaceDisconnect);
  assert.deepEqual(happened(inbox.items).slice(3), [
    "ticket",
    "goodbye",
    `${neffos.OnRoomLeft} entrance`,
    neffos.OnNamespaceDisconnect,
  ]);
  assert.equal(conn.isClosed(), false);
  conn.close();
});

it("refuses what clients want on their own", limit, async () => {
  const { conn, inbox } = await visit("paid");
  await inbox.event("welcome");
  const ns = conn.namespace("tour");
  await assert.rejects(ns.joinRoom("cellar"), /please stay with the group/);
  // leave resolves with the error.
  assert.match(String(await ns.room("entrance").leave()), /please stay with the group/);
  assert.deepEqual([...ns.rooms.keys()], ["entrance"]);
  conn.close();
});

it("closes clients that do not know the namespace", limit, async () => {
  const conn = await neffos.dial(program.url, { other: {} });
  const code = await new Promise((resolve) => {
    conn.conn.addEventListener("close", (event) => resolve(event.code));
  });
  assert.equal(code, 1008);
});
