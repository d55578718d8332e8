// The members of a room: their names, their joins and leaves, and their typing.
//
// A connection without a user is a member by its ID. Its page emits the name that the
// user has chosen, together with the ID. Nothing proves that the two belong together; a
// node with authentication shows its users by their proven IDs.

import { Roster } from '/stoa.js';
import { showMembers, showTyping } from './view.js';

const MOST_NAMES = 1_000;
const TYPING_LASTS = 4_000;
// A member that has not emitted its name by then is announced without one.
const NAME_WITHIN = 1_000;

const keyOf = ({ user, conn }) => (user ? `user ${user}` : `conn ${conn}`);

export class People {
  #roster = new Roster();
  #isLoaded = false;
  #isOver = false;
  #names = new Map();
  #typing = new Map();
  #unnamed = new Map();
  // The ID of the page's connection, and those that it had before.
  #self;
  #earlier = new Set();
  #notify;

  // notify takes a sentence about a join or leave.
  constructor(notify) {
    this.#notify = notify;
  }

  // be sets the ID and the name of the page.
  be({ conn, from }) {
    if (this.#self !== undefined) this.#earlier.add(this.#self);
    this.#self = conn;
    this.meet({ conn, from });
  }

  // load reads the members.
  async load(room) {
    try {
      await this.#roster.load(room);
      this.#isLoaded = true;
      this.#show();
    } catch {
      // The members of this namespace are not shown, or not to this client.
    }
  }

  // areShown reports whether the node shows the members, and not their number alone.
  get areShown() {
    return this.#isLoaded && this.#roster.members.length > 0;
  }

  // change takes a message of the event _OnPresence.
  async change(nsConn, message) {
    const known = new Set(this.#roster.members.map(keyOf));
    const { joined = [], left = [] } = message.unmarshal();
    const loading = this.#roster.apply(nsConn, message);
    try {
      await loading;
    } catch {
      return; // as in load
    }
    if (!this.#isLoaded) return;
    if (!loading) {
      for (const person of joined) if (!known.has(keyOf(person))) this.#greet(person);
      for (const person of left) if (known.has(keyOf(person))) this.#part(person);
    }
    this.#show();
  }

  // meet learns the name of a connection.
  meet({ conn, from }) {
    if (!conn || this.#names.get(conn) === from) return;
    this.#names.set(conn, from);
    if (this.#names.size > MOST_NAMES) this.#names.delete(this.#names.keys().next().value);
    const greeting = this.#unnamed.get(conn);
    if (greeting !== undefined) {
      clearTimeout(greeting);
      this.#unnamed.delete(conn);
      this.#notify(`${from} has joined.`);
    }
    if (this.#isLoaded) this.#show();
  }

  // types takes a sign that a member is typing, and stopsTyping its end.
  types({ conn, from }) {
    const key = conn ?? from;
    clearTimeout(this.#typing.get(key)?.timer);
    if (this.#typing.size >= MOST_NAMES && !this.#typing.has(key)) return;
    this.#typing.set(key, { from, timer: setTimeout(() => this.stopsTyping({ conn, from }), TYPING_LASTS) });
    this.#showTyping();
  }

  stopsTyping({ conn, from }) {
    const key = conn ?? from;
    clearTimeout(this.#typing.get(key)?.timer);
    if (this.#typing.delete(key)) this.#showTyping();
  }

  // end hides the members when the room is left.
  end() {
    this.#isOver = true;
    for (const { timer } of this.#typing.values()) clearTimeout(timer);
    for (const timer of this.#unnamed.values()) clearTimeout(timer);
    this.#typing.clear();
    this.#unnamed.clear();
    showMembers(undefined);
    this.#showTyping();
  }

  #greet(person) {
    const { user, conn } = person;
    if (this.#isOwn(person)) return;
    if (user || this.#names.has(conn)) {
      this.#notify(`${this.#nameOf(person)} has joined.`);
      return;
    }
    this.#unnamed.set(conn, setTimeout(() => {
      this.#unnamed.delete(conn);
      this.#notify(`${this.#nameOf(person)} has joined.`);
    }, NAME_WITHIN));
  }

  #part(person) {
    const name = this.#nameOf(person);
    const unnamed = this.#unnamed.get(person.conn);
    clearTimeout(unnamed);
    this.#unnamed.delete(person.conn);
    this.stopsTyping({ conn: person.conn, from: name });
    // One that comes back has a new connection, which can be there already.
    const stays = this.#roster.members.some((other) => this.#nameOf(other) === name);
    if (!stays && unnamed === undefined && !this.#isOwn(person)) this.#notify(`${name} has left.`);
    this.#names.delete(person.conn);
  }

  #nameOf({ user, conn, info }) {
    if (user) return typeof info?.name === 'string' ? info.name : user;
    return this.#names.get(conn) ?? `Guest ${conn.slice(-4)}`;
  }

  #isOwn({ conn }) {
    return conn === this.#self || this.#earlier.has(conn);
  }

  #show() {
    if (this.#isOver) return;
    // An earlier connection of the page is a member for a moment longer.
    const shown = this.#roster.members.filter(({ conn }) => !this.#earlier.has(conn));
    const members = shown.map((person) => ({ name: this.#nameOf(person), isSelf: person.conn === this.#self }));
    members.sort((a, b) => b.isSelf - a.isSelf || a.name.localeCompare(b.name));
    showMembers({ count: this.#roster.count - (this.#roster.members.length - shown.length), members });
  }

  #showTyping() {
    showTyping([...this.#typing.values()].map(({ from }) => from));
  }
}
