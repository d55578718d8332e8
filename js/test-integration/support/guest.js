// Somebody at a stoa-client: keeps in order what arrives, what happens to namespaces and
// rooms, and what state the connection is in.
import * as stoa from "stoa-client";

import { Inbox } from "../../../test/compat/js/support/client.js";
import { within } from "../../../test/compat/js/support/program.js";

export { eachPeer, limit, patience, quick } from "./peers.js";
import { patience, quick } from "./peers.js";

export class Guest {
  constructor(name) {
    this.name = name;
    this.messages = new Inbox(`messages of ${name}`);
    this.lifecycle = new Inbox(`lifecycle of ${name}`);
    this.states = new Inbox(`states of ${name}`);
  }

  /** What dial is given: events has handlers of the test's own, for each namespace. */
  handlers(namespaces, events) {
    const receive = (_, message) => {
      const item = {
        event: message.Event,
        namespace: message.Namespace,
        room: message.Room,
        body: message.Body,
        forced: message.IsForced === true,
        local: message.IsLocal === true,
        error: message.Err?.message,
      };
      if (stoa.isSystemEvent(message.Event)) this.lifecycle.add(item);
      else this.messages.add(item);
    };
    return Object.fromEntries(
      namespaces.map((name) => [name, { [stoa.OnAnyEvent]: receive, ...events?.[name] }]),
    );
  }

  /** Waits for the next state of this name that the connection enters after the first skipped ones. */
  state(name, nth = 1) {
    return this.states.until((items) => items.filter((item) => item.state === name)[nth - 1], name);
  }

  /** The lifecycle so far, as "event room". */
  happened() {
    return this.lifecycle.items.map((item) => `${item.event} ${item.room ?? ""}`.trim());
  }

  close() {
    this.conn?.close();
  }
}

const guests = new Set();

/** Dials as somebody of this name. */
export async function dial(url, name, { namespaces = ["default"], events, options } = {}) {
  const guest = new Guest(name);
  guests.add(guest);
  guest.conn = await within(
    patience,
    stoa.dial(url, guest.handlers(namespaces, events), {
      ...options,
      reconnect: options?.reconnect ?? quick,
      onState: (transition) => guest.states.add({ event: transition.state, ...transition }),
    }),
    () => `${name}: dial did not end`,
  );
  return guest;
}

/** Dials, connects to the namespace "default" and joins the rooms. */
export async function enter(url, name, rooms = [], settings = {}) {
  const guest = await dial(url, name, settings);
  guest.ns = await guest.conn.connect("default");
  for (const room of rooms) await guest.ns.joinRoom(room);
  return guest;
}

/** Closes whoever has dialled, so that a test that fails does not keep the process. */
export function closeGuests() {
  for (const guest of guests) guest.close();
  guests.clear();
}
