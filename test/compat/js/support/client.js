// An unmodified neffos.js client that is connected to the namespace "default" and
// records all messages in order.
import * as neffos from "neffos.js";

import { within } from "./program.js";

// For tests in other folders, where Node.js does not find the package.
export { neffos };

export const namespace = "default";
const waitDeadline = 20_000;

/**
 * Inbox keeps items in the order of their arrival and lets a test wait for them.
 */
export class Inbox {
  #waiting = [];

  /** @param {string} name appears in the error of a wait that fails */
  constructor(name) {
    this.name = name;
    this.items = [];
  }

  add(item) {
    this.items.push(item);
    this.#waiting = this.#waiting.filter((check) => !check());
  }

  /** Waits until the condition on the items returns a true value, and returns it. */
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

  /** The handlers for dial, one set for each of the namespaces. */
  handlers(namespaces) {
    // The client changes the message object after the call, so the fields are copied.
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

  /** The number of joins of a room, including automatic ones after a reconnect. */
  joins(room) {
    return this.lifecycle.items.filter(
      (item) => item.event === neffos.OnRoomJoined && item.room === room,
    ).length;
  }

  /** Emits to a room without the client's check that it is a member. */
  emitUnchecked(room, event, body) {
    const hadRoom = this.ns.rooms.has(room);
    if (!hadRoom) this.ns.rooms.set(room, new neffos.Room(this.ns, room));
    const sent = this.ns.room(room).emit(event, body);
    if (!hadRoom) this.ns.rooms.delete(room);
    return sent;
  }

  /** Emits a binary body to a room; neffos.js has no method for it. */
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

  /** Resolves with the close code when the socket is closed. */
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
 * Dials and returns the person, without a namespace.
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
