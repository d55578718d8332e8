// Starts the Chromium of the system, with helpers to use a page by keyboard.
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

import { chromium } from "playwright-core";

const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/** The browser that STOA_CHROMIUM names, or the first one in the path. */
function findBrowser() {
  if (process.env.STOA_CHROMIUM) return process.env.STOA_CHROMIUM;
  const directories = (process.env.PATH ?? "").split(delimiter);
  const found = names
    .flatMap((name) => directories.map((directory) => join(directory, name)))
    .find((path) => existsSync(path));
  if (found === undefined) {
    throw new Error("no Chromium found: install one, or name it in STOA_CHROMIUM");
  }
  return found;
}

/** The limit for one step of the browser, in milliseconds. */
export const stepDeadline = 15_000;

/** The limit for a test in the browser, including the start of the browser. */
export const limit = { timeout: 60_000 };

/** @returns {Promise<import("playwright-core").Browser>} */
export function startBrowser() {
  return chromium.launch({
    executablePath: findBrowser(),
    args: [
      // Chromium's sandbox needs privileges that containers do not have.
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/**
 * Opens a page in a new profile and collects its errors.
 * @param {import("playwright-core").Browser} browser
 * @param {string} url
 * @param {import("playwright-core").BrowserContextOptions} [options]
 */
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(stepDeadline);
  const page = await context.newPage();
  const problems = [];
  const requests = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  page.on("request", (request) => requests.push(request.url()));
  page.on("websocket", (socket) => requests.push(socket.url()));
  await page.goto(url);
  return { page, problems, requests };
}

/** Presses Tab until the element has the focus. */
export async function tabTo(page, selector) {
  const reached = () =>
    page.evaluate((wanted) => document.activeElement?.matches(wanted) === true, selector);
  for (let presses = 0; presses < 40; presses++) {
    if (await reached()) return;
    await page.keyboard.press("Tab");
  }
  throw new Error(`${selector} cannot be reached with the Tab key`);
}

/** Waits until the text of the element matches, and returns it. */
export async function textOf(page, selector, pattern) {
  try {
    await page.waitForFunction(
      ([wanted, source, flags]) =>
        new RegExp(source, flags).test(document.querySelector(wanted)?.textContent ?? ""),
      [selector, pattern.source, pattern.flags],
    );
  } catch (error) {
    const shown = await page.textContent(selector).catch(() => "nothing");
    throw new Error(`${selector} shows ${JSON.stringify(shown)}, want ${pattern}`, {
      cause: error,
    });
  }
  return page.textContent(selector);
}

/**
 * Records the texts that an element shows from now on, however briefly. The result waits
 * until one of them matches.
 */
export async function recordTexts(page, selector) {
  await page.evaluate((wanted) => {
    const shown = document.querySelector(wanted);
    const record = { texts: [shown.textContent] };
    window.recorded = record;
    const options = { childList: true, characterData: true, subtree: true };
    new MutationObserver(() => record.texts.push(shown.textContent)).observe(shown, options);
  }, selector);
  return (pattern) =>
    page.waitForFunction((source) => window.recorded.texts.some((text) => new RegExp(source).test(text)), pattern.source);
}
