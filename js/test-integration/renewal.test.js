// Tests a client that renews its identity, in real time: it lasts a second.
import assert from "node:assert/strict";
import { after, afterEach, before, it } from "node:test";

import { within } from "../../test/compat/js/support/program.js";
import { closeGuests, enter } from "./support/guest.js";
import { eachPeer, limit, patience } from "./support/peers.js";

eachPeer("an identity that ends", ({ name, start }) => {
  let program;
  before(async () => {
    program = await start();
  });
  after(() => program.kill());
  afterEach(closeGuests);

  // A neffos server takes the hello that names what the client understands.
  it("is renewed over the open connection", limit, async () => {
    const ada = await enter(`${program.url}?life=1s`, "ada", ["hall"], { options: { authenticate: () => "1s" } });
    const renewed = new Promise((resolve) => ada.conn.on("renewal", resolve));
    if (name === "stoa") assert.deepEqual(await within(patience, renewed, () => "no renewal"), { error: undefined, delay: undefined });
    ada.ns.emit("push", "still here");
    await ada.messages.event("pushed");
  });
});
