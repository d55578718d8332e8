// examples/notes in two tabs of a browser.
import assert from "node:assert/strict";
import { after, afterEach, before, it } from "node:test";

import * as neffos from "neffos.js";

import { limit, openPage, recordTexts, startBrowser, textOf } from "../support/browser.js";
import { startCable } from "../support/cable.js";
import { startExample } from "../support/program.js";

let program;
let browser;
let cable;
before(async () => {
  program = await startExample("notes");
  browser = await startBrowser();
  cable = await startCable(program.port);
}, limit);
after(async () => {
  await browser?.close();
  await cable?.close();
  assert.equal(await program?.stop(), 0, program?.output);
});
afterEach(async () => {
  for (const context of browser.contexts()) await context.close();
});

/** Enters a board in a new tab. */
async function enter(name, board, address = program.page) {
  const { page, problems } = await openPage(browser, `${address}/#${board}`);
  await fillIn(page, name);
  return { page, problems };
}

async function fillIn(page, name) {
  await page.fill("#name", name);
  await page.press("#name", "Enter");
  await textOf(page, "#members", new RegExp(name));
}

async function add(page, ...texts) {
  for (const text of texts) {
    await page.fill("#text", text);
    await page.click("#add button");
  }
}

/** Waits until the board has exactly these notes, in any order. */
function notes(page, ...texts) {
  return page.waitForFunction(
    (wanted) => JSON.stringify([...document.querySelectorAll("#board textarea")].map(({ value }) => value).sort()) === wanted,
    JSON.stringify(texts.sort()),
  );
}

/** Waits until the notes have these captions, in order. */
function captions(page, ...texts) {
  return page.waitForFunction(
    (wanted) => JSON.stringify([...document.querySelectorAll("#board .by")].map(({ textContent }) => textContent)) === wanted,
    JSON.stringify(texts),
  );
}

const cardOf = (page, index) => page.locator("#board li").nth(index);

it("prints the address of its page", () => {
  assert.match(program.output, new RegExp(`^open ${program.page}/$`, "m"));
});

it("shows the notes of all visitors, also after a reload", limit, async () => {
  const ada = await enter("Ada", "shared");
  const ben = await enter("Ben", "shared");
  await textOf(ada.page, "#members", /^At this board: Ada, Ben$/);
  await add(ada.page, "buy olives", "<b>bold</b>");
  await notes(ben.page, "buy olives", "<b>bold</b>");
  await add(ben.page, "mend the roof");
  for (const { page } of [ada, ben]) await notes(page, "buy olives", "<b>bold</b>", "mend the roof");

  await ben.page.reload();
  assert.equal(await ben.page.inputValue("#name"), "Ben", "the page keeps the name");
  await fillIn(ben.page, "Ben");
  await notes(ben.page, "buy olives", "<b>bold</b>", "mend the roof");
  assert.equal(await ben.page.locator("#board b").count(), 0);
  for (const { problems } of [ada, ben]) assert.deepEqual(problems, []);
});

it("shows who is changing a note, and the change", limit, async () => {
  const ada = await enter("Ada", "changes");
  const ben = await enter("Ben", "changes");
  await add(ada.page, "one", "two");
  await notes(ben.page, "one", "two");
  const showed = await recordTexts(ada.page, "#board li .by");
  const text = cardOf(ben.page, 0).locator("textarea");
  await text.focus();
  await ben.page.keyboard.press("End");
  await ben.page.keyboard.type("!");
  await showed(/^Ben is editing …$/);
  await text.blur();
  for (const { page } of [ada, ben]) await notes(page, "one!", "two");
  await textOf(ada.page, "#board li .by", /^Ben$/);
});

it("removes a note for everyone, the absent included", limit, async () => {
  const ada = await enter("Ada", "removal", cable.page);
  const ben = await enter("Ben", "removal");
  await add(ada.page, "stays", "first", "second");
  await notes(ben.page, "stays", "first", "second");
  await cardOf(ben.page, 1).locator("button").click();
  for (const { page } of [ada, ben]) await notes(page, "stays", "second");

  cable.cut();
  await textOf(ada.page, "#state", /^reconnecting$/);
  await cardOf(ben.page, 1).locator("button").click();
  await notes(ben.page, "stays");
  await add(ben.page, "new");
  await notes(ben.page, "stays", "new");
  cable.mend();
  await ada.page.evaluate(() => window.dispatchEvent(new Event("online")));
  await notes(ada.page, "stays", "new");
  await ada.page.reload();
  await fillIn(ada.page, "Ada");
  await notes(ada.page, "stays", "new");
});

it("publishes a note once that was added on a dead connection", limit, async () => {
  const ada = await enter("Ada", "dead", cable.page);
  const ben = await enter("Ben", "dead");
  await add(ada.page, "before");
  await notes(ben.page, "before");
  cable.block();
  await add(ada.page, "in between");
  await captions(ada.page, "Ada", "waiting …");
  await notes(ada.page, "before", "in between");
  cable.cut();
  await textOf(ada.page, "#state", /^reconnecting$/);
  cable.mend();
  await ada.page.evaluate(() => window.dispatchEvent(new Event("online")));
  for (const { page } of [ada, ben]) await notes(page, "before", "in between");
  await captions(ada.page, "Ada", "Ada");
  await ben.page.reload();
  await fillIn(ben.page, "Ben");
  await notes(ben.page, "before", "in between");
});

it("keeps a note that the server refuses, and says so", limit, async () => {
  const ada = await enter("Ada", "refused");
  await add(ada.page, "short");
  await captions(ada.page, "Ada");
  // The page limits the text, and the server the message.
  await ada.page.evaluate(() => document.querySelector("#text").removeAttribute("maxlength"));
  await add(ada.page, "x".repeat(5000));
  await captions(ada.page, "Ada", "not saved");
  await textOf(ada.page, "#problem", /^message too big$/);
  await cardOf(ada.page, 1).locator("button").click();
  await captions(ada.page, "Ada");
});

it("needs a name, and names of boards that fit", limit, async () => {
  await assert.rejects(neffos.dial(program.url, {}));
  const conn = await neffos.dial(`${program.url}?name=Eve`, { board: {} });
  const ns = await conn.connect("board");
  await assert.rejects(ns.joinRoom("no board"));
  // Any body is possible, and stays harmless.
  const room = await ns.joinRoom("eve");
  room.emit("note", "no JSON");
  room.emit("note", '{"id":null}');
  room.emit("note", '{"id":"1","text":{}}');
  room.emit("editing", "null");
  const ada = await enter("Ada", "eve");
  await add(ada.page, "a note");
  await notes(ada.page, "a note");
  conn.close();
});
