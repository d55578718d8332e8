// A person at an unmodified neffos.js client: connected to the namespace
// "default", with everything it received in order.
import * as neffos from "neffos.js";

import { within } from "./program.js";

// For tests outside of this folder, which do not find the package.
export { neffos };

export const namespace = "default";
const waitDeadline = 20_000;

/**
 * Inbox keeps items in the order of their arrival and lets a test wait for them.
 */
export class Inbox {
  #waiting = [];

  /** @param {string} name appears in the error of a wait that is not fulfilled */
  constructor(name) {
    this.name = name;
    this.items = [];
  }

  add(item) {
    this.items.push(item);
    this.#waiting = this.#waiting.filter((check) => !check());
  }

  /** Waits until the condition on all items so far holds; returns what it returned. */
  async until(condition, description) {
    const now = condition(this.items);
    if (now) return now;
    const fulfilled = new Promise((resolve) => {
      this.#waiting.push(() => {
        const value = condition(this.items);
        if (value) resolve(value);
        return Boolean(value);
      });
    });
    return within(
      waitDeadline,
      fulfilled,
      () => `${this.name}: wanted ${description}, have ${summary(this.items)}`,
    );
  }

  /** Waits until the number of items is at least count and returns all of them. */
  count(count) {
    return this.until((items) => items.length >= count && items, `${count} items`);
  }

  /** Waits for the first item with this event. */
  event(event) {
    return this.until((items) => items.find((item) => item.event === event), event);
  }
}

function summary(items) {
  const last = items.slice(-3).map((item) => `${item.event} ${String(item.body).slice(0, 40)}`);
  return `${items.length} (the last: ${last.join(", ")})`;
}

/**
 * Person is a client with a name. After a reconnect, conn and ns are the new ones.
 */
export class Person {
  constructor(name) {
    this.name = name;
    this.messages = new Inbox(`messages of ${name}`);
    this.lifecycle = new Inbox(`lifecycle of ${name}`);
  }

  /** The handlers for dial; namespaces are those that the client knows. */
  handlers(namespaces) {
    // The client changes a message object after the call: what counts is copied.
    const receive = (ns, message) => {
      const item = {
        event: message.Event,
        namespace: message.Namespace,
        room: message.Room,
        body: message.Body,
        forced: message.IsForced === true,
      };
      if (neffos.isSystemEvent(message.Event)) {
        if (message.Event === neffos.OnNamespaceConnected && message.Namespace === namespace) {
          this.ns = ns;
          this.conn = ns.conn;
        }
        this.lifecycle.add(item);
      } else {
        this.messages.add(item);
      }
    };
    return Object.fromEntries(namespaces.map((name) => [name, { [neffos.OnAnyEvent]: receive }]));
  }

  /** How often this person has entered a room, counting what a reconnect did by itself. */
  joins(room) {
    return this.lifecycle.items.filter(
      (item) => item.event === neffos.OnRoomJoined && item.room === room,
    ).length;
  }

  /** Sends into a room whatever the client itself thinks of it. */
  emitUnchecked(room, event, body) {
    const hadRoom = this.ns.rooms.has(room);
    if (!hadRoom) this.ns.rooms.set(room, new neffos.Room(this.ns, room));
    const sent = this.ns.room(room).emit(event, body);
    if (!hadRoom) this.ns.rooms.delete(room);
    return sent;
  }

  /** Sends a binary body into a room, for which neffos.js has no method. */
  emitBinary(room, event, body) {
    const message = new neffos.Message();
    Object.assign(message, {
      Namespace: namespace,
      Room: room,
      Event: event,
      Body: body,
      SetBinary: true,
    });
    return this.conn.write(message);
  }

  /** Resolves with the close code once the socket of the connection is gone. */
  closed() {
    const socket = this.conn.conn;
    const gone = new Promise((resolve) => {
      socket.addEventListener("close", (event) => resolve(event.code));
    });
    return within(waitDeadline, gone, () => `${this.name}: the connection is still open`);
  }

  close() {
    this.conn?.close();
  }
}

/**
 * Dials and returns the person, not yet connected to a namespace.
 * @param {string} url
 * @param {string} name
 * @param {{namespaces?: string[], options?: object}} settings
 */
export async function dial(url, name, { namespaces = [namespace], options } = {}) {
  const person = new Person(name);
  person.conn = await within(
    waitDeadline,
    neffos.dial(url, person.handlers(namespaces), options),
    () => `${name}: dial did not end`,
  );
  return person;
}

/** Dials, connects to the namespace and enters the rooms. */
export async function enter(url, name, rooms = [], options = undefined) {
  const person = await dial(url, name, { options });
  await person.conn.connect(namespace);
  for (const room of rooms) await person.ns.joinRoom(room);
  return person;
}
