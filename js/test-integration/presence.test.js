// Tests rooms that show their members, and servers that do not.
import assert from "node:assert/strict";
import { after, afterEach, before, it } from "node:test";

import { ErrUnhandled, Roster } from "stoa-client";

import { closeGuests, dial, enter } from "./support/guest.js";
import { eachPeer, limit } from "./support/peers.js";
import { Inbox } from "../../test/compat/js/support/client.js";

/** Dials, joins "team" of "kept", and notes the IDs of the members whenever they change. */
async function member(url, name) {
  const roster = new Roster();
  const seen = new Inbox(`members that ${name} sees`);
  const note = () => seen.add(roster.members.map(({ conn }) => conn).sort().join(" "));
  const apply = async (ns, m) => {
    await roster.apply(ns, m);
    note();
  };
  const guest = await dial(url, name, { namespaces: ["kept"], events: { kept: { _OnPresence: apply } } });
  const { conn } = guest;
  const ns = await conn.connect("kept");
  await roster.load(await ns.joinRoom("team"));
  note();
  const sees = (...conns) => seen.until((items) => items.at(-1) === conns.map(({ ID }) => ID).sort().join(" "), "the members");
  return { guest, conn, ns, roster, sees };
}

eachPeer("rooms that show their members", ({ name, start }) => {
  let program;
  before(async () => {
    program = await start();
  });
  after(() => program.kill());
  afterEach(closeGuests);

  if (name !== "neffos") {
    it("keeps a roster up to date", limit, async () => {
      const ada = await member(program.url, "ada");
      await ada.sees(ada.conn);
      const ben = await member(program.url, "ben");
      await ada.sees(ada.conn, ben.conn);
      await ben.sees(ada.conn, ben.conn);
      assert.equal(ada.roster.count, 2);
      ben.conn.close();
      await ada.sees(ada.conn);
      // A new connection is a new member, as it has no user.
      ada.ns.emit("end", "1012 away");
      await ada.guest.state("connected", 2);
      await ada.sees(ada.conn);
    });

    it("shows none elsewhere", limit, async () => {
      const ada = await enter(program.url, "ada", ["hall"]);
      await assert.rejects(ada.ns.room("hall").presence(), ErrUnhandled);
    });
    return;
  }

  it("shows none", limit, async () => {
    const ada = await enter(program.url, "ada", ["hall"]);
    await assert.rejects(ada.ns.room("hall").presence({}, { timeout: 200 }));
  });
});
