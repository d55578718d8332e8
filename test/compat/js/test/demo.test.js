import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";

import { limit, openPage, startBrowser, tabTo, textOf } from "../support/browser.js";
import { enter } from "../support/client.js";
import { startProgram } from "../support/program.js";

const phone = { viewport: { width: 360, height: 640 }, isMobile: true, hasTouch: true };
const room = "the agora; east side";

describe("the demo page", () => {
  let program;
  let browser;
  // Ada uses a keyboard and nothing else, Ben has a phone.
  let ada;
  let ben;

  before(async () => {
    program = await startProgram();
    browser = await startBrowser();
    ada = await openPage(browser, program.page, { viewport: { width: 1100, height: 700 } });
    ben = await openPage(browser, program.page, phone);
  }, limit);
  after(async () => {
    await browser?.close();
    await program?.kill();
  });

  it("connects and shows its connection, its node and the round trip", limit, async () => {
    const ids = [];
    for (const { page } of [ada, ben]) {
      await textOf(page, "#state", /^Connected$/);
      const id = (await textOf(page, "#connection-id", /^[a-z0-9]{8}-.{22}$/)).trim();
      assert.equal((await page.textContent("#node-id")).trim(), id.split("-")[0]);
      await textOf(page, "#rtt", /^\d+(\.\d+)? ms$/);
      ids.push(id);
    }
    assert.notEqual(ids[0], ids[1]);
  });

  it("is joined by keyboard alone", limit, async () => {
    const { page } = ada;
    assert.equal(await page.isEnabled("#send"), false, "nothing to send to before a room");
    await tabTo(page, "#name");
    await page.keyboard.press("Control+A");
    await page.keyboard.type("Ada");
    await tabTo(page, "#room");
    await page.keyboard.press("Control+A");
    await page.keyboard.type(room);
    await tabTo(page, "#join");
    await page.keyboard.press("Space");
    await textOf(page, "#log", /You are in the agora; east side\./);
    assert.equal(await page.isVisible("#join"), false);
    assert.equal(await page.isVisible("#leave"), true);
  });

  it("is joined on a phone by touch, without scrolling sideways", limit, async () => {
    const { page } = ben;
    await page.fill("#name", "Ben");
    await page.fill("#room", room);
    await page.tap("#join");
    await textOf(page, "#log", /You are in the agora; east side\./);
    await textOf(ada.page, "#log", /Ben has joined\./);
    const { width } = phone.viewport;
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
    for (const selector of ["#log", "#message", "#send", "#leave", "#state"]) {
      const box = await page.locator(selector).boundingBox();
      assert.ok(box !== null, `${selector} is on the page`);
      assert.ok(box.x >= 0 && box.x + box.width <= width, `${selector} fits into ${width} pixels`);
      assert.ok(box.y + box.height <= phone.viewport.height, `${selector} is on the screen`);
    }
  });

  it("carries messages both ways and says who wrote them", limit, async () => {
    await tabTo(ada.page, "#message");
    await ada.page.keyboard.type("Χαίρε, Ben; are you there? 🏛️");
    await ada.page.keyboard.press("Enter");
    for (const { page } of [ada, ben]) {
      const last = page.locator("#log .entry.chat").last();
      await last.waitFor();
      assert.match(await last.textContent(), /^Ada.*Χαίρε, Ben; are you there\? 🏛️/);
    }
    assert.equal(await ada.page.inputValue("#message"), "", "the field is empty for the next one");

    await ben.page.fill("#message", "Yes; on the phone.");
    await ben.page.tap("#send");
    for (const { page } of [ada, ben]) await textOf(page, "#log", /Yes; on the phone\./);
    const last = ada.page.locator("#log .entry.chat").last();
    assert.match(await last.textContent(), /^Ben/);
    assert.equal(await ada.page.locator("#log .entry.chat").count(), 2, "each message once");
    assert.equal(await ben.page.locator("#log .entry.chat").count(), 2, "each message once");
  });

  it("shows messages in the order sent", limit, async () => {
    const numbers = Array.from({ length: 20 }, (_, number) => `number ${number}.`);
    for (const text of numbers) {
      await ada.page.keyboard.type(text);
      await ada.page.keyboard.press("Enter");
    }
    for (const { page } of [ada, ben]) {
      await textOf(page, "#log", /number 19\./);
      const texts = await page.locator("#log .entry.chat .text").allTextContents();
      assert.deepEqual(texts.slice(-numbers.length), numbers);
    }
  });

  it("shows the messages of other members as text", limit, async () => {
    const visitor = await enter(program.url, "visitor", [room]);
    const markup = '<img src=x onerror="document.title=1"><b>bold</b>';
    visitor.ns.room(room).emit("chat", JSON.stringify({ from: "<i>Eve</i>", text: markup }));
    visitor.ns.room(room).emit("chat", "no JSON at all");
    visitor.ns.room(room).emit("chat", "null");
    for (const { page } of [ada, ben]) {
      await textOf(page, "#log", /no JSON at all/);
      await textOf(page, "#log", /<b>bold<\/b>/);
      assert.equal(await page.locator("#log img, #log b, #log i").count(), 0);
      assert.notEqual(await page.title(), "1");
    }
    visitor.close();
  });

  it("keeps up with a flood of messages, in a bounded list", limit, async () => {
    // Each change of the list that is laid out on its own is seen on its own.
    await ada.page.evaluate(() => {
      const log = document.querySelector("#log");
      const flood = { changes: 0, longest: 0 };
      window.flood = flood;
      new MutationObserver(() => {
        flood.changes++;
        flood.longest = Math.max(flood.longest, log.childElementCount);
      }).observe(log, { childList: true });
    });
    const visitor = await enter(program.url, "visitor", [room]);
    const count = 1_200;
    for (let number = 1; number <= count; number++) {
      const text = number === count ? "the last one" : `flood ${number}`;
      visitor.ns.room(room).emit("chat", JSON.stringify({ from: "Flood", text }));
      // The sender is a guest, too: its buffer must drain.
      if (number % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await textOf(ada.page, "#log", /the last one/);
    const { changes, longest } = await ada.page.evaluate(() => window.flood);
    assert.ok(longest <= 500, `the list had ${longest} entries`);
    assert.ok(changes < count / 2, `the list was laid out ${changes} times`);
    const texts = await ada.page.locator("#log .entry.chat .text").allTextContents();
    // Notices of joins and leaves are entries, too.
    assert.equal(await ada.page.locator("#log .entry").count(), 500);
    assert.ok(texts.length > 490, `${texts.length} messages`);
    assert.equal(texts.at(-2), `flood ${count - 1}`);
    visitor.close();
  });

  it("reaches neffos.js in the same room", limit, async () => {
    const visitor = await enter(program.url, "visitor", [room]);
    await tabTo(ada.page, "#message");
    await ada.page.keyboard.type("for the other client");
    await ada.page.keyboard.press("Enter");
    const { body } = await visitor.messages.event("chat");
    const { from, text } = JSON.parse(body);
    assert.deepEqual({ from, text }, { from: "Ada", text: "for the other client" });
    visitor.close();
  });

  it("leaves the room", limit, async () => {
    await ben.page.tap("#leave");
    await textOf(ben.page, "#log", /You have left/);
    await textOf(ada.page, "#log", /Ben has left\./);
    assert.equal(await ben.page.isEnabled("#message"), false);
    await tabTo(ada.page, "#message");
    await ada.page.keyboard.type("for Ben later");
    await ada.page.keyboard.press("Enter");
    await textOf(ada.page, "#log", /for Ben later/);
    assert.doesNotMatch(await ben.page.textContent("#log"), /for Ben later/);

    await ben.page.tap("#join");
    await textOf(ada.page, "#log", /Ben has left\.[^]*Ben has joined\./);
    await ada.page.keyboard.type("for Ben again");
    await ada.page.keyboard.press("Enter");
    await textOf(ben.page, "#log", /^Earlier messages[^]*for Ben later[^]*You are in the agora[^]*for Ben again/);
  });

  it("loads nothing from elsewhere and reports no error", () => {
    for (const { problems, requests } of [ada, ben]) {
      assert.deepEqual(problems, []);
      assert.ok(requests.length > 1);
      for (const url of requests) assert.equal(new URL(url).host, program.host, url);
    }
  });

  it("finds its way back after the program was restarted", limit, async () => {
    const { port } = program;
    const earlier = await ada.page.textContent("#connection-id");
    await program.kill();
    for (const { page } of [ada, ben]) {
      await textOf(page, "#log", /The connection is lost\. You can write a message, and send it when the connection is back\./);
      await textOf(page, "#state", /^(Retrying in \d+ s|Reconnecting)$/);
      assert.equal(await page.isEnabled("#send"), false, "the button is disabled without a connection");
      assert.match(await page.getAttribute("#send", "title"), /^Not connected/, "the button says why");
    }
    program = await startProgram({ port });
    for (const { page } of [ada, ben]) {
      await textOf(page, "#log", /Messages may be missing here[^]*Connected again, in the agora; east side\./);
      await textOf(page, "#state", /^Connected$/);
    }
    assert.notEqual(await ada.page.textContent("#connection-id"), earlier);
    await tabTo(ada.page, "#message");
    await ada.page.keyboard.type("here again");
    await ada.page.keyboard.press("Enter");
    await textOf(ben.page, "#log", /here again/);
  });
});
