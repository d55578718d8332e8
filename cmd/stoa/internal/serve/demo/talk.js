// The messages of a room, each once and in order: the latest ones after the join, new
// ones, and after a lost connection those that were missed.
//
// The client delivers missed messages like new ones. The page holds them back until it
// has read the history, which knows their times.

import { ErrClosed, ErrDisconnected, ErrUnhandled } from '/stoa.js';
import { LONGEST_LOG, showDivider, showMessage, showNotice } from './view.js';

const LONGEST_NAME = 32;
const LONGEST_TEXT = 4_000;
const LONGEST_ID = 80;
const LATEST = 300;

export class Talk {
  #held = [];
  #isOver = false;
  // The positions of the messages in the log; for those of this page their IDs.
  #shown = new Set();
  #sent = 0;

  // hold keeps messages back until catchUp.
  hold() {
    this.#held ??= [];
  }

  // end is called when the room is left: an answer that is in flight shows nothing.
  end() {
    this.#isOver = true;
  }

  get isHeld() {
    return this.#held !== undefined;
  }

  // take takes an item: { message: true, from, text, position }, { notice }, or
  // { isGap: true }.
  take(item) {
    // A copy that was delayed on an earlier connection arrives like one of another member.
    if (item.message && !item.own && this.#shown.has(item.id)) return;
    if (this.#held === undefined) this.#show(item, new Date());
    else this.#held.push(item);
  }

  // send publishes a message of this page. It is sent again after a lost connection, and
  // the log shows until when it is not confirmed.
  send(room, { from, conn }, text) {
    const id = `${conn} ${++this.#sent}`;
    this.#shown.add(id);
    const sent = this.#publish(room, JSON.stringify({ from, conn, id, text }));
    this.take({ message: true, own: true, from, text, sent });
  }

  async #publish(room, body) {
    try {
      const position = await room.publish('chat', body);
      this.#shown.add(position);
      return position;
    } catch (error) {
      if (error !== ErrUnhandled) throw error;
      // A room that keeps no messages confirms none.
      if (!room.emit('chat', body)) throw ErrDisconnected;
      return undefined;
    }
  }

  // catchUp shows the messages of the history that the log lacks, with a title before
  // them, and then the held messages. It reports whether it ended; a lost connection
  // ends it early, and the next one starts it again. meet is called for every entry.
  async catchUp(room, title, meet) {
    const entries = [];
    try {
      entries.push(...(await room.history({ limit: LATEST })).entries);
    } catch (error) {
      if (error === ErrDisconnected || error === ErrClosed) return false;
      if (error !== ErrUnhandled && !this.#isOver) showNotice(`The history cannot be read: ${error.message}.`);
    }
    if (this.#isOver) return false;
    const held = this.#held ?? [];
    this.#held = undefined;
    if (held.some(({ isGap }) => isGap)) this.#show({ isGap: true });
    // A history that keeps more than one page can have missed messages before the page.
    const page = new Set(entries.map(({ position }) => position));
    const overlap = held.findIndex(({ position }) => page.has(position));
    const missed = held.slice(0, Math.max(overlap, 0));
    for (const { event, body, position, time } of entries) {
      const item = { ...parseBody(body), position, at: new Date(time) };
      meet(event, item);
      if (event === 'chat') missed.push({ ...item, message: true });
    }
    const lacking = missed.filter((item) => item.message && !this.#has(item));
    if (lacking.length > 0) showDivider(title);
    for (const item of lacking) this.#show(item, item.at, true);
    for (const item of held) if (!item.isGap && !(item.message && this.#has(item))) this.#show(item, new Date());
    return true;
  }

  #has({ position, id }) {
    return this.#shown.has(position) || this.#shown.has(id);
  }

  #show({ message, isGap, notice, from, text, position, own, sent }, at, isOld = false) {
    if (isGap) showDivider('Messages may be missing here.', true);
    else if (message) showMessage({ from, text, own, position, at, isOld, sent });
    else showNotice(notice);
    if (message && position) this.#shown.add(position);
    if (this.#shown.size > 2 * (LONGEST_LOG + LATEST)) this.#shown.delete(this.#shown.values().next().value);
  }
}

const decoder = new TextDecoder();

// parseBody returns a name and a text, also for a malformed body, and the ID of the
// connection and of the message if there are some.
export function parseBody(body) {
  const source = typeof body === 'string' ? body : decoder.decode(body);
  let parsed;
  try {
    parsed = JSON.parse(source);
  } catch {
    parsed = { text: source };
  }
  const textOf = (name, longest) => (typeof parsed?.[name] === 'string' ? parsed[name].slice(0, longest) : '');
  return {
    from: textOf('from', LONGEST_NAME).trim() || 'Anonymous',
    text: textOf('text', LONGEST_TEXT),
    conn: textOf('conn', LONGEST_ID) || undefined,
    id: textOf('id', LONGEST_ID) || undefined,
  };
}
