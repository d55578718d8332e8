// The versions of Node.js, with the package ws and without it.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { peers, startPeer } from "../../compat/js/support/program.js";
import { limit, module, print, Project, tool, want } from "../support/project.js";

let peer;
before(async () => {
  peer = await startPeer(peers.stoa);
}, limit);
after(() => peer?.kill());

for (const ws of [true, false]) {
  describe(ws ? "Node.js with ws" : "Node.js without ws", () => {
    let project;
    before(async () => {
      project = await Project.make({ ws });
    }, limit);
    after(() => project?.remove());

    // The packages with the programs exist for each system; these are for one.
    const skip = process.platform === "linux" && process.arch === "x64" ? false : "no such package";
    for (const version of [20, 22, 24]) {
      for (const commonJS of [false, true]) {
        it(`${version}, ${commonJS ? "CommonJS" : "ESM"}`, { ...limit, skip }, async () => {
          const file = await project.write(`program.${commonJS ? "cjs" : "mjs"}`, module(peer.url, print, { commonJS }));
          const output = await project.node(file, tool(`node-${version}/bin/node`));
          const missing = version === 20 && !ws;
          assert.equal(output, missing ? "no WebSocket: install the package ws, or Node.js 22" : want);
        });
      }
    }
  });
}
