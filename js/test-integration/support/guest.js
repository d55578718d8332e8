// A guest uses a stoa-client and keeps, in order, the received messages, the
// events of namespaces and rooms, and the states of the connection.
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

  /** Returns the handlers for dial; events adds some by namespace. */
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

  /** Waits until the connection has entered a state for the nth time. */
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

/** Dials as a guest of this name. */
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

/** Closes all guests, so that a failed test does not keep the process alive. */
export function closeGuests() {
  for (const guest of guests) guest.close();
  guests.clear();
}
