import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { enter } from "../support/client.js";
import { limit, peers, startPeer } from "../support/program.js";

// An identity ends: neffos.js cannot hand in a new token, and receives nothing that it
// does not know.
describe("neffos.js clients whose identity ends", () => {
  let program;

  before(async () => {
    program = await startPeer(peers.stoa);
  });
  after(() => program.kill());

  it("are closed with a code, and see nothing else", limit, async () => {
    const ada = await enter(`${program.url}?life=2s`, "ada", ["hall"]);
    assert.equal(await ada.closed(), 4004);
    await ada.lifecycle.event("_OnNamespaceDisconnect");
    assert.deepEqual(ada.messages.items, []);
  });
});
