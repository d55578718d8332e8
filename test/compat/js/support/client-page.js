// A page that loads the client from the node's /stoa.js and records its events.
import { openPage, stepDeadline } from "./browser.js";

/**
 * Opens the page and loads the client; window.stoa is the module. The page is one of the
 * node's plain texts, so it opens no connection.
 */
export async function openClient(browser, origin) {
  const { page, problems } = await openPage(browser, `${origin}/healthz`);
  await page.evaluate(async () => {
    window.stoa = await import("/stoa.js");
    window.states = [];
    window.heard = [];
  });
  return { page, problems };
}

/**
 * Dials in the page, connects to "default" and joins the room. It sets window.conn and
 * window.room, and appends to window.states and window.heard. It closes the previous
 * connection.
 */
export function enter(page, url, room, options = {}) {
  return page.evaluate(
    async ([address, name, given]) => {
      const chat = (_, message) => void window.heard.push(message.Body);
      const states = [];
      const onState = ({ state }) => void states.push(state);
      window.conn?.close();
      window.states = states;
      window.conn = await window.stoa.dial(address, { default: { chat } }, { ...given, onState });
      window.nsConn = await window.conn.connect("default");
      window.room = await window.nsConn.joinRoom(name);
      return window.conn.ID;
    },
    [url, room, options],
  );
}

/** Waits until the condition holds in the page. */
export function until(page, condition, argument) {
  return page.waitForFunction(condition, argument, { timeout: stepDeadline, polling: 20 });
}
