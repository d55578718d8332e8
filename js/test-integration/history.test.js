// Tests rooms with a history, and servers without one.
import assert from "node:assert/strict";
import { after, afterEach, before, it } from "node:test";

import { ErrUnhandled } from "stoa-client";

import { closeGuests, dial, enter } from "./support/guest.js";
import { eachPeer, limit } from "./support/peers.js";

/** Dials and joins "hall" of "kept". The client dials again when open() is called. */
async function member(url, name, options) {
  let gate = Promise.resolve();
  const guest = await dial(url, name, { namespaces: ["kept"], options: { authenticate: () => gate.then(() => ({})) } });
  guest.ns = await guest.conn.connect("kept");
  guest.hall = await guest.ns.joinRoom("hall", options);
  let open;
  guest.away = async () => {
    gate = new Promise((resolve) => (open = resolve));
    guest.ns.emit("end", "1012 away");
    await guest.states.until((items) => items.at(-1)?.state === "reconnecting" && items, "away");
  };
  guest.back = async () => {
    open();
    await guest.states.until((items) => items.at(-1)?.state === "connected" && items, "back");
  };
  guest.heard = () => guest.messages.items.map(({ body }) => body);
  return guest;
}

eachPeer("rooms with a history", ({ name, start }) => {
  let program;
  before(async () => {
    program = await start();
  });
  after(() => program.kill());
  afterEach(closeGuests);

  if (name === "neffos") {
    it("has none", limit, async () => {
      const ada = await enter(program.url, "ada");
      const hall = await ada.ns.joinRoom("hall", { history: 5, position: "Aa0f" });
      assert.deepEqual([hall.recovered, hall.position], [false, ""]);
    });
    return;
  }

  it("gives members what they have missed", limit, async () => {
    const ada = await member(program.url, "ada");
    const ben = await member(program.url, "ben");
    const say = (...texts) => texts.forEach((text) => ben.hall.emit("chat", text));
    say("1", "2");
    await ada.messages.count(2);
    await ada.away();
    say("3", "4");
    // The answer comes after the emits, as they are in order.
    assert.deepEqual((await ben.hall.history()).entries.map(({ body }) => body), ["1", "2", "3", "4"]);
    await ada.back();
    say("5");
    await ada.messages.count(5);
    assert.deepEqual(ada.heard(), ["1", "2", "3", "4", "5"]);
    assert.ok(ada.hall.recovered);

    // Six messages are more than the room keeps.
    await ada.away();
    say("6", "7", "8", "9", "10", "11");
    await ben.hall.history();
    await ada.back();
    say("12");
    await ada.messages.count(6);
    assert.deepEqual(ada.heard().slice(5), ["12"]);
    assert.equal(ada.hall.recovered, false);
    assert.deepEqual(ada.happened().slice(-1), ["_OnHistoryGap hall"]);

    // Another process continues where this one was.
    const { position } = ada.hall;
    say("13", "14");
    await ada.messages.count(8);
    const cid = await member(program.url, "cid", { position });
    await cid.messages.count(2);
    assert.deepEqual([cid.heard(), cid.hall.recovered], [["13", "14"], true]);
    assert.equal(cid.hall.position, ada.hall.position);

    const dan = await member(program.url, "dan", { history: 3 });
    await dan.messages.count(3);
    assert.deepEqual([dan.heard(), dan.hall.recovered], [["12", "13", "14"], false]);
  });

  it("is read in pages", limit, async () => {
    const { ns } = await member(program.url, "ada");
    const room = await ns.joinRoom("notes");
    const other = (await member(program.url, "ben")).ns;
    const notes = await other.joinRoom("notes");
    for (const text of ["1", "2", "3", "4"]) notes.emit("note", text);
    other.conn.write({ Namespace: "kept", Room: "notes", Event: "note", Body: Uint8Array.of(5) });
    await notes.history();
    const newest = await room.history({ limit: 2 });
    assert.deepEqual(newest.entries.map(({ event, body }) => [event, body]), [["note", "4"], ["note", Uint8Array.of(5)]]);
    assert.deepEqual([newest.more, newest.found], [true, true]);
    const earlier = await room.history({ before: newest.entries[0].position });
    assert.deepEqual(earlier.entries.map(({ body }) => body), ["1", "2", "3"]);
    assert.deepEqual([earlier.more, earlier.found], [false, true]);
    const first = await room.history({ limit: 1, oldest: true });
    assert.deepEqual(first.entries.map(({ body }) => body), ["1"]);
    assert.ok(Math.abs(Date.now() - first.entries[0].time) < 3_600_000);
  });

  it("is missing elsewhere", limit, async () => {
    const ada = await enter(program.url, "ada", ["hall"]);
    await assert.rejects(ada.ns.room("hall").history(), ErrUnhandled);
    assert.equal(ada.ns.room("hall").position, "");
  });
});
