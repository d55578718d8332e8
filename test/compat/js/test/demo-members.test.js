// The demo page shows the history and the members of a room, also to a tab that was
// offline.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join as joinPath } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";

import { limit, openPage, recordTexts, startBrowser, textOf } from "../support/browser.js";
import { startCable } from "../support/cable.js";
import { enter as enterWithNeffos, neffos } from "../support/client.js";
import { startProgram } from "../support/program.js";

// Changes of the members are shown soon.
process.env.STOA_TIMEOUTS_PRESENCE_INTERVAL = "100ms";
process.env.STOA_TIMEOUTS_PRESENCE_GRACE = "300ms";

/** Joins the room in a new tab. */
async function join(browser, address, name, room) {
  const tab = await openPage(browser, address);
  await fillIn(tab.page, name, room);
  return tab;
}

async function fillIn(page, name, room) {
  await textOf(page, "#state", /^Connected$/);
  await page.fill("#name", name);
  await page.fill("#room", room);
  await page.click("#join");
  await textOf(page, "#log", /You are in/);
}

async function say(page, ...texts) {
  for (const text of texts) {
    await page.fill("#message", text);
    await page.press("#message", "Enter");
  }
}

/** Reads the history of a room; the answer follows the emits of the client. */
async function historyOf(visitor, room) {
  const query = { Namespace: "default", Room: room, Event: "_OnHistory", Body: "" };
  const answer = await visitor.conn.ask(Object.assign(new neffos.Message(), query));
  return JSON.parse(answer.Body).entries;
}

/** Resolves when the roster has these names. */
function members(page, ...names) {
  const list = names.map((name) => `${name}\n`).join("");
  return page.waitForFunction(
    ([wanted, count]) =>
      [...document.querySelectorAll("#members li")].map((item) => `${item.textContent}\n`).join("") === wanted &&
      document.querySelector("#count").textContent === `${count} here`,
    [list, names.length],
  );
}

const texts = (page) => page.locator("#log .entry.chat .text").allTextContents();

describe("the demo page with history and members", () => {
  let program;
  let browser;
  let cable;
  let number = 0;
  let room = "room 0";
  before(async () => {
    program = await startProgram();
    browser = await startBrowser();
    cable = await startCable(program.port);
  }, limit);
  after(async () => {
    await browser?.close();
    await cable?.close();
    await program?.kill();
  });
  // Each test has a room of its own.
  const enter = (name, address = program.page) => join(browser, address, name, room);
  afterEach(async () => {
    room = `room ${++number}`;
    for (const context of browser.contexts()) await context.close();
  });

  it("shows the latest messages with their times to a tab that joins", limit, async () => {
    const ada = await enter("Ada");
    await say(ada.page, "first", "second");
    const ben = await enter("Ben");
    await textOf(ben.page, "#log", /^Earlier messages[^]*first[^]*second[^]*You are in/);
    assert.deepEqual(await texts(ben.page), ["first", "second"]);
    const sent = await ben.page.locator("#log .entry.chat time").first().getAttribute("datetime");
    assert.ok(Date.parse(sent) <= Date.now() && Date.parse(sent) > Date.now() - 60_000, sent);
    await say(ada.page, "third");
    await textOf(ben.page, "#log", /You are in[^]*third/);
    // The own messages are those of the history, too, and not repeated.
    await ada.page.click("#leave");
    await ada.page.click("#join");
    await textOf(ada.page, "#log", /^Earlier messages[^]*You are in/);
    assert.deepEqual(await texts(ada.page), ["first", "second", "third"]);
  });

  it("shows the members, and who joins and leaves", limit, async () => {
    const ada = await enter("Ada");
    await members(ada.page, "Ada (you)");
    const ben = await enter("Ben");
    await members(ada.page, "Ada (you)", "Ben");
    await members(ben.page, "Ben (you)", "Ada");
    await textOf(ada.page, "#log", /Ben has joined\./);
    // Its page is gone without a word.
    await ben.page.context().close();
    await textOf(ada.page, "#log", /Ben has left\./);
    await members(ada.page, "Ada (you)");
    const again = await enter("Ben");
    await members(ada.page, "Ada (you)", "Ben");
    await textOf(ada.page, "#log", /Ben has left\.[^]*Ben has joined\./);
    await members(again.page, "Ben (you)", "Ada");
  });

  it("shows members that name nobody by their connection", limit, async () => {
    const ada = await enter("Ada");
    const visitor = await enterWithNeffos(program.url, "visitor", [room]);
    const guest = `Guest ${visitor.conn.ID.slice(-4)}`;
    await members(ada.page, "Ada (you)", guest);
    await textOf(ada.page, "#log", /Guest .{4} has joined\./);
    visitor.ns.room(room).emit("joined", JSON.stringify({ from: "<b>Eve</b>", conn: visitor.conn.ID }));
    await members(ada.page, "Ada (you)", "<b>Eve</b>");
    assert.equal(await ada.page.locator("#people b").count(), 0, "a name is no markup");
    visitor.close();
    await textOf(ada.page, "#log", /<b>Eve<\/b> has left\./);
  });

  it("shows who is typing until the message is there", limit, async () => {
    const ada = await enter("Ada");
    const ben = await enter("Ben");
    await members(ada.page, "Ada (you)", "Ben");
    const showed = await recordTexts(ada.page, "#typing");
    await ben.page.locator("#message").pressSequentially("so");
    await showed(/^Ben is typing …$/);
    await ben.page.press("#message", "Enter");
    await textOf(ada.page, "#log", /so/);
    await textOf(ada.page, "#typing", /^$/);
    // An indicator is no message: neither now nor later.
    assert.deepEqual(await texts(ada.page), ["so"]);
    const visitor = await enterWithNeffos(program.url, "visitor", [room]);
    const events = (await historyOf(visitor, room)).map(({ event }) => event);
    assert.deepEqual(events, ["joined", "joined", "chat"]);
    visitor.close();
  });

  it("shows a tab that was offline what it has missed, once and in order", limit, async () => {
    const ada = await enter("Ada", cable.page);
    const ben = await enter("Ben");
    await say(ben.page, "before");
    await textOf(ada.page, "#log", /before/);
    await say(ada.page, "mine");
    await textOf(ben.page, "#log", /mine/);

    cable.cut();
    await textOf(ada.page, "#log", /The connection is lost\./);
    await textOf(ben.page, "#log", /Ada has left\./);
    await members(ben.page, "Ben (you)");
    const missed = Array.from({ length: 8 }, (_, index) => `missed ${index}`);
    await say(ben.page, ...missed);
    cable.mend();
    await ada.page.evaluate(() => window.dispatchEvent(new Event("online")));

    await textOf(ada.page, "#log", /The connection is lost\.[^]*While you were disconnected[^]*missed 7[^]*Connected again/);
    await members(ben.page, "Ben (you)", "Ada");
    await textOf(ben.page, "#log", /Ada has left\.[^]*Ada has joined\./);
    await members(ada.page, "Ada (you)", "Ben");
    await say(ben.page, "after");
    await textOf(ada.page, "#log", /Connected again[^]*after/);
    assert.deepEqual(await texts(ada.page), ["before", "mine", ...missed, "after"]);
    const marked = await ada.page.locator("#log .entry.old .text").allTextContents();
    assert.deepEqual(marked, missed);
    assert.equal(await ada.page.locator("#log .entry.gap").count(), 0);
  });

  it("publishes a message once that was sent into a dead connection", limit, async () => {
    const ada = await enter("Ada", cable.page);
    const ben = await enter("Ben");
    await say(ada.page, "confirmed");
    await ada.page.waitForSelector("#log .entry.own[data-position]:not(.pending)");
    cable.block();
    await say(ada.page, "into the void");
    await ada.page.waitForSelector("#log .entry.own.pending");
    cable.cut();
    await textOf(ada.page, "#log", /The connection is lost\./);
    assert.deepEqual(await texts(ben.page), ["confirmed"]);
    cable.mend();
    await ada.page.evaluate(() => window.dispatchEvent(new Event("online")));
    await textOf(ben.page, "#log", /into the void/);
    await textOf(ada.page, "#log", /Connected again/);
    await ada.page.waitForFunction(() => document.querySelector("#log .entry.own.pending") === null);
    await say(ada.page, "after");
    await textOf(ben.page, "#log", /after/);
    for (const { page } of [ada, ben]) assert.deepEqual(await texts(page), ["confirmed", "into the void", "after"]);
  });

  it("says that messages are missing, and goes on", limit, async () => {
    const ada = await enter("Ada", cable.page);
    const visitor = await enterWithNeffos(program.url, "visitor", [room]);
    const emit = (text) => visitor.ns.room(room).emit("chat", JSON.stringify({ from: "Flood", text }));
    emit("before");
    await textOf(ada.page, "#log", /before/);
    cable.cut();
    await textOf(ada.page, "#log", /The connection is lost\./);
    for (let index = 0; index < 400; index++) emit(`flood ${index}`);
    // An answer follows the emits of its connection.
    await historyOf(visitor, room);
    cable.mend();
    await ada.page.evaluate(() => window.dispatchEvent(new Event("online")));
    await textOf(ada.page, "#log", /Messages may be missing here\.[^]*flood 399[^]*Connected again/);
    const shown = await texts(ada.page);
    assert.equal(shown[0], "before");
    assert.ok(shown.length > 100, `${shown.length} messages`);
    const first = 400 - (shown.length - 1);
    assert.deepEqual(shown.slice(1), Array.from({ length: shown.length - 1 }, (_, index) => `flood ${first + index}`));
    visitor.close();
  });

  it("takes a removed message off the screen", limit, async () => {
    const ada = await openPage(browser, program.page);
    let notify;
    await ada.page.routeWebSocket(/\/ws$/, (socket) => {
      socket.connectToServer();
      notify = (position) => socket.send(`;default;${room};_OnHistoryRemoved;0;0;${position}`);
    });
    await ada.page.reload();
    await fillIn(ada.page, "Ada", room);
    const ben = await enter("Ben");
    await say(ben.page, "one", "two", "three");
    await textOf(ada.page, "#log", /three/);
    notify(await ada.page.locator("#log .entry.chat").nth(1).getAttribute("data-position"));
    await textOf(ada.page, "#log", /^(?![^]*two)/);
    assert.deepEqual(await texts(ada.page), ["one", "three"]);
    notify("");
    await textOf(ada.page, "#log", /^(?![^]*(one|three))/);
    assert.deepEqual(await texts(ada.page), []);
  });

  for (const [title, options, shown] of [["nothing of it", "{}", /^0 here$/], ["the number of members", "{presence: count}", /^2 here$/]]) {
    it(`works where the node shows ${title}`, limit, async () => {
      const directory = await mkdtemp(joinPath(tmpdir(), "stoa-demo-"));
      const config = joinPath(directory, "stoa.yaml");
      await writeFile(config, `namespaces: {default: ${options}}\n`);
      const plain = await startProgram({ args: ["--config", config] });
      try {
        const ada = await enter("Ada", plain.page);
        const ben = await enter("Ben", plain.page);
        await textOf(ada.page, "#log", /Ben has joined\./);
        await textOf(ada.page, "#count", shown);
        assert.equal(await ada.page.isVisible("#people"), !shown.test("0 here"));
        await say(ben.page, "hello");
        await textOf(ada.page, "#log", /hello/);
        await ben.page.click("#leave");
        await textOf(ada.page, "#log", /Ben has left\./);
        assert.deepEqual(ada.problems, []);
      } finally {
        await plain.kill();
        await rm(directory, { recursive: true });
      }
    });
  }
});
