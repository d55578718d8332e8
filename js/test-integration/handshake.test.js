// Tests the handshake with a node: refusals, subprotocols and the number of the attempt,
// with the headers of Node.js and as a browser, whose headers are URL parameters.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, afterEach, before, describe, it } from "node:test";

import * as stoa from "stoa-client";
import { WebSocket } from "ws";

import { peers, startPeer } from "../../test/compat/js/support/program.js";
import { closeGuests, enter } from "./support/guest.js";
import { limit, quick } from "./support/peers.js";

/** A WebSocket that sends an Origin header, as browsers do. */
class PageSocket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols ?? [], { origin: "https://page.test" });
  }
}

const platforms = { "Node.js": {}, "a browser": { WebSocket: PageSocket } };

let program;
before(async () => {
  program = await startPeer(peers.stoa);
});
after(() => program.kill());
afterEach(closeGuests);

for (const [platform, options] of Object.entries(platforms)) {
  const dial = (query, more) => stoa.dial(`${program.url}${query}`, { default: {} }, { ...options, ...more });

  describe(`refusals in ${platform}`, () => {
    for (const [status, code] of [[401, "unauthorized"], [403, "forbidden"]]) {
      it(`ends after ${status} with the reason`, limit, async () => {
        await assert.rejects(dial(`?refuse=because&status=${status}`), (error) => {
          assert.ok(error instanceof stoa.StoaError);
          assert.equal(error.code, code);
          assert.match(error.message, /because$/);
          return true;
        });
      });
    }

    it("dials again after 503, not before the suggested delay", limit, async () => {
      const abort = new AbortController();
      const failed = await new Promise((resolve) => {
        dial("?refuse=later&status=503", { signal: abort.signal, onState: resolve }).catch(() => undefined);
      });
      abort.abort();
      assert.match(failed.error.message, /later$/);
      assert.equal(failed.state, "connecting");
      assert.ok(failed.delay >= 300, `${failed.delay} ms, want at least 300`);
    });
  });

  it(`selects a subprotocol in ${platform}`, limit, async () => {
    const conn = await dial("", { protocols: ["chat.v2", "chat.v1"] });
    assert.ok(conn.ID);
    conn.close();
  });

  it(`sends the number of the attempt in ${platform} as docs/protocol.md says`, limit, async () => {
    const page = readFileSync(new URL("../../docs/protocol.md", import.meta.url), "utf8");
    const [, header, parameter] = /number of its attempts, in decimal, in the header `(.+?)` .*?URL parameter `(.+?)`/s.exec(page);
    const ada = await enter(program.url, "ada", [], { options: { ...options, reconnect: quick } });
    ada.ns.emit("end", "1012 again");
    await ada.state("connected", 2);
    const answer = await ada.ns.ask("header", platform === "Node.js" ? header : parameter);
    assert.equal(answer.Body, "1");
  });
}
