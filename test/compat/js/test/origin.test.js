import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { limit, openPage, startBrowser } from "../support/browser.js";
import { dial, enter } from "../support/client.js";
import { startOrigin } from "../support/origin.js";
import { peers, startPeer, startProgram } from "../support/program.js";

const room = "agora";

describe("neffos.js in a page of another origin", () => {
  let browser;
  let foreign;
  let program;

  before(async () => {
    foreign = await startOrigin();
    browser = await startBrowser();
  }, limit);
  after(async () => {
    await browser?.close();
    await foreign?.close();
    await program?.kill();
  });

  /** Dials from the foreign page; window.received collects its messages. */
  async function dialFromPage(page, url) {
    await page.waitForFunction(() => window.neffos !== undefined);
    return page.evaluate(
      async ([endpoint, name]) => {
        const { neffos } = window;
        window.received = [];
        const chat = (_, message) => {
          window.received.push(message.Body);
        };
        try {
          const conn = await neffos.dial(endpoint, { default: { chat } });
          const ns = await conn.connect("default");
          window.joined = await ns.joinRoom(name);
          return { id: conn.ID };
        } catch (error) {
          return { refused: error instanceof Event ? error.type : String(error) };
        }
      },
      [url, room],
    );
  }

  async function restart(args) {
    await program?.kill();
    program = await startProgram({ args });
  }

  it("is refused with 403", limit, async () => {
    await restart([]);
    const { page, problems } = await openPage(browser, foreign.origin);
    assert.deepEqual(await dialFromPage(page, program.url), { refused: "error" });
    assert.equal(problems.length, 1, problems.join("\n"));
    assert.match(problems[0], /Unexpected response code: 403/);
  });

  it("is refused where --allow-origin names another origin", limit, async () => {
    await restart(["--allow-origin", "https://chat.example.com"]);
    const { page, problems } = await openPage(browser, foreign.origin);
    assert.deepEqual(await dialFromPage(page, program.url), { refused: "error" });
    assert.match(problems.join("\n"), /Unexpected response code: 403/);
  });

  it("gets the reason of an application that refuses it", limit, async () => {
    const peer = await startPeer(peers.stoa);
    const { page } = await openPage(browser, foreign.origin);
    const refused = await dialFromPage(page, `${peer.url}?refuse=log+in+again&status=401`);
    assert.match(refused.refused, /log in again/);
    await peer.kill();
  });

  it("connects, joins and talks where --allow-origin names it", limit, async () => {
    await restart(["--allow-origin", foreign.origin]);
    const { page, problems } = await openPage(browser, foreign.origin);
    const { id, refused } = await dialFromPage(page, program.url);
    assert.equal(refused, undefined);
    assert.match(id, /^[a-z0-9]{8}-.{22}$/);

    const other = await enter(program.url, "in Node.js", [room]);
    await page.evaluate(() => window.joined.emit("chat", "from the page; 柱"));
    assert.equal((await other.messages.count(1))[0].body, "from the page; 柱");
    other.ns.room(room).emit("chat", "to the page; 柱");
    await page.waitForFunction(() => window.received.length > 0);
    assert.deepEqual(await page.evaluate(() => window.received), ["to the page; 柱"]);
    assert.deepEqual(problems, []);
    other.close();
  });

  it("is recognized by its Origin header alone", limit, async () => {
    await restart([]);
    const headers = { Origin: foreign.origin };
    await assert.rejects(
      dial(program.url, "with an origin", { options: { headers } }),
      (event) => /403/.test(event.message),
    );
    const sameOrigin = await dial(program.url, "the page's own origin", {
      options: { headers: { Origin: program.page } },
    });
    sameOrigin.close();
    const none = await dial(program.url, "no browser");
    none.close();
  });
});
