import { emptyReply, parse, serialize } from "./codec.js";
import * as errors from "./errors.js";
import { isReply, Message, toText, type Data, type Reply } from "./message.js";
import * as names from "./names.js";
import type { NSConn } from "./nsconn.js";
import type { AskOptions } from "./options.js";
import { after, attempt, bounded } from "./promises.js";
import { answerRequest } from "./requests.js";
import { Room } from "./room.js";
import type { Driver } from "./driver.js";

// A server that never answers must not make a session grow: what fails while
// so much is in flight is not waited for any more.
const maxPending = 1000;

interface Pending {
  message: Message;
  /** Takes the answer, or why there is none. */
  end: (answer?: Message, error?: Error) => unknown;
}

/**
 * The rules of the protocol for a client, over all the connections that it
 * has one after the other. It does no I/O and knows neither time nor chance.
 */
export class Session {
  readonly namespaces = new Map<string, NSConn>();
  /** Tells one connection from the next. */
  epoch = 0;
  private _open = false;
  private _held: Data[] = [];
  private _asks = 0;
  private _pending = new Map<string, Pending>();

  constructor(readonly driver: Driver) {}

  /** Takes a payload of the server. */
  receive(payload: Data): void {
    if (!payload.length) return;
    if (this._open) return this._message(payload);
    const text = toText(payload);
    if (text[0] === "H") return this.driver._refused(text.slice(1));
    if (text[0] !== "A") return void this._held.push(payload);
    this._open = true;
    this.driver._acknowledged(text.slice(1));
    for (const held of this._held.splice(0)) this._message(held);
  }

  /** The connection was lost: what is in flight fails. */
  lost(error: Error): void {
    this._open = false;
    this.epoch++;
    this._held = [];
    for (const token of this._pending.keys()) this._answered(token, undefined, error);
  }

  private _message(payload: Data): void {
    const epoch = this.epoch;
    const message =
      parse(payload) ??
      new Message({ Event: names.OnNativeMessage, Body: payload, IsNative: true, SetBinary: typeof payload !== "string" });
    // Answers come before everything that may have to wait: a handler that
    // waits may wait for them.
    const number = /^\$([1-9]\d*)$/.exec(message.wait)?.[1];
    if (number && +number <= this._asks) return this._answered(message.wait, message, message.Err);
    // Only an answer can be an error: events would bounce for ever.
    if (!message.isError) this.driver._mailbox.push(() => this._handle(message, epoch));
  }

  private _handle(m: Message, epoch: number): unknown {
    if (names.isSystemEvent(m.Event)) {
      // Requests are between two ends; the next connection knows nothing of them.
      return m.wait && !m.isNoOp && epoch === this.epoch ? answerRequest(this, m, epoch) : undefined;
    }
    const ns = this.namespaces.get(m.Namespace);
    if (!ns) return this.refuse(m, epoch, errors.ErrBadNamespace);
    ns._tell(m);
    if (!m.wait) return this.fire(ns, m);
    if (!handlerOf(ns, m)) return this.refuse(m, epoch, errors.ErrUnhandled);
    return this.fire(ns, m, (result) => {
      if (result instanceof Error) return this.refuse(m, epoch, result);
      const answer = new Message({ ...m, Body: result?.body });
      this.answer(m, epoch, serialize(answer));
    });
  }

  /**
   * Runs the handler of a message. Next gets the error or the reply, if there
   * is one; without next nobody waits, and what was thrown is reported.
   */
  fire<T>(ns: NSConn, m: Message, next?: (result?: Error | Reply) => T): T | undefined | PromiseLike<T | undefined> {
    return attempt(
      () => handlerOf(ns, m)?.(ns, m),
      (result) => next?.(result instanceof Error || isReply(result) ? result : undefined),
      (thrown) => (next ? next(errors.toError(thrown)) : void this.driver._tell("error", errors.toError(thrown))),
    );
  }

  /** Tells the program of something that it cannot change. */
  tell(ns: NSConn, event: string, fields: Partial<Message>): unknown {
    return this.fire(ns, ns._about(event, fields));
  }

  /** Sends an answer, if the connection that the message came from is still there. */
  answer(m: Message, epoch: number, payload: Data = emptyReply(m.wait)): void {
    if (m.wait && epoch === this.epoch) this.driver._send(payload);
  }

  /** Answers with an error, always as text: neffos.js cannot read others. */
  refuse(m: Message, epoch: number, error: Error): void {
    this.answer(m, epoch, serialize(new Message({ ...m, Err: error, Body: "", SetBinary: false })));
  }

  /** Reports whether an ask of this side is in flight for the names of a message. */
  asking(event: string, m: Message): boolean {
    for (const { message } of this._pending.values()) {
      if (message.Event === event && message.Namespace === m.Namespace && message.Room === m.Room) return true;
    }
    return false;
  }

  /** Sends a message with a token and hands the answer over as soon as it comes. */
  question(m: Message, end: Pending["end"]): void {
    m.wait = `$${++this._asks}`;
    this._pending.set(m.wait, { message: m, end });
    this.driver._send(serialize(m));
  }

  /**
   * Asks, and resolves to what apply makes of the answer. Late does what a
   * positive answer still calls for after the ask has failed.
   */
  ask<T>(m: Message, { timeout = this.driver._askTimeout, signal }: AskOptions = {}, apply: (answer: Message) => T, late?: () => unknown): Promise<Awaited<T>> {
    return bounded(this.driver._clock, { timeout, signal }, (resolve, reject) => {
      let sent = false;
      const withdraw = this.driver._dispatch(
        m,
        () => {
          sent = true;
          this.question(m, (answer, error) => {
            if (error || !answer) return reject(error);
            attempt(() => apply(answer), resolve as (value: unknown) => void, reject);
          });
        },
        reject,
      );
      return () => {
        if (!sent) return withdraw();
        const pending = this._pending.get(m.wait);
        if (!late || this._pending.size > maxPending) this._pending.delete(m.wait);
        // The other side may do it all the same.
        else if (pending) pending.end = (_, error) => error ?? late();
      };
    });
  }

  private _answered(token: string, answer?: Message, error?: Error): void {
    const pending = this._pending.get(token);
    this._pending.delete(token);
    pending?.end(answer, error);
  }

  /** Takes back what the server did too late, unless it is being asked for again. */
  private _undo(m: Message, opposite: string): void {
    if (!this.asking(m.Event, m)) this.question(new Message({ ...m, Event: opposite }), () => undefined);
  }

  async connect(name: string, options?: AskOptions): Promise<NSConn> {
    const found = this.namespaces.get(name);
    if (found) return found;
    const ns = this.driver._place(name);
    if (!ns) throw errors.ErrBadNamespace;
    const m = ns._about(names.OnNamespaceConnect, { IsLocal: true });
    return this.fire(ns, m, (refusal) => {
      if (refusal instanceof Error) throw refusal;
      return this.ask(
        m,
        options,
        () => this.namespaces.get(name) ?? after(this.connected(ns, { IsLocal: true }), () => ns),
        () => {
          if (!this.namespaces.has(name)) this._undo(m, names.OnNamespaceDisconnect);
        },
      );
    }) as Promise<NSConn>;
  }

  /** Connects a namespace on this side. */
  connected(ns: NSConn, fields: Partial<Message>): unknown {
    this.namespaces.set(ns.namespace, ns);
    return after(this.tell(ns, names.OnNamespaceConnected, fields), () => this.driver._tell("namespace", ns));
  }

  async disconnect(ns: NSConn, options?: AskOptions): Promise<void> {
    if (!this.holds(ns)) throw errors.ErrBadNamespace;
    const end = () => this.ended(ns, { IsLocal: true });
    return this.ask(ns._about(names.OnNamespaceDisconnect), options, end, end);
  }

  /** Disconnects a namespace on this side: first its rooms are left, then the program hears of it. */
  async ended(ns: NSConn, fields: Partial<Message>, answer?: () => void): Promise<void> {
    if (!this.holds(ns)) return;
    this.namespaces.delete(ns.namespace);
    const rooms = [...ns.rooms.keys()];
    ns.rooms.clear();
    for (const room of rooms) await this.left(ns, room, { ...fields, IsForced: true });
    answer?.();
    await this.tell(ns, names.OnNamespaceDisconnect, fields);
    ns._end();
  }

  async join(ns: NSConn, name: string, options?: AskOptions): Promise<Room> {
    const found = ns.rooms.get(name);
    if (found) return found;
    if (!this.holds(ns)) throw errors.ErrBadNamespace;
    const m = ns._about(names.OnRoomJoin, { Room: name, IsLocal: true });
    const undo = () => {
      if (this.holds(ns) && !ns.rooms.has(name)) this._undo(m, names.OnRoomLeave);
    };
    const joined = (refusal?: Error | Reply) => {
      if (!(refusal instanceof Error)) return this.joined(ns, name, { IsLocal: true });
      undo();
      throw refusal;
    };
    return this.ask(
      m,
      options,
      () => {
        // Disconnected meanwhile: the server left the room with the namespace.
        if (!this.holds(ns)) throw errors.ErrBadNamespace;
        return ns.rooms.get(name) ?? this.fire(ns, new Message(m), joined);
      },
      undo,
    ) as Promise<Room>;
  }

  /** Joins a room on this side. */
  joined(ns: NSConn, name: string, fields: Partial<Message>): Room | PromiseLike<Room> {
    const room = ns.rooms.get(name) ?? new Room(ns, name);
    ns.rooms.set(name, room);
    return after(this.tell(ns, names.OnRoomJoined, { ...fields, Room: name }), () => room);
  }

  async leave(room: Room, options?: AskOptions): Promise<void> {
    const ns = room.nsConn;
    if (!this.holds(ns)) throw errors.ErrBadNamespace;
    if (ns.rooms.get(room.name) !== room) throw errors.ErrBadRoom;
    const end = async () => {
      if (ns.rooms.delete(room.name)) await this.left(ns, room.name, {});
    };
    return this.ask(ns._about(names.OnRoomLeave, { Room: room.name }), options, end, end);
  }

  /** Tells the program that a room was left. */
  left(ns: NSConn, name: string, fields: Partial<Message>, answer?: () => void): unknown {
    const about = { ...fields, Room: name };
    return after(this.tell(ns, names.OnRoomLeave, about), () => {
      answer?.();
      return this.tell(ns, names.OnRoomLeft, about);
    });
  }

  /** Reports whether exactly this namespace is connected, not one that came after it. */
  holds(ns: NSConn): boolean {
    return this.namespaces.get(ns.namespace) === ns;
  }

  /** The error of a message that the program may not send. */
  check(m: Message): Error | undefined {
    const ns = this.namespaces.get(m.Namespace);
    if (m.IsNative) return undefined;
    if (!ns) return errors.ErrBadNamespace;
    if (m.Room && !ns.rooms.has(m.Room)) return errors.ErrBadRoom;
    return names.isSystemEvent(m.Event) ? errors.ErrInvalidName : undefined;
  }
}

/** The handler of an event, else that of any event. */
function handlerOf(ns: NSConn, { Event }: Message) {
  return ns._events.get(Event) ?? ns._events.get(names.OnAnyEvent);
}
