import type { BodyOf, BodyParameter, Name } from "./events.js";
import { marshal, toText, type Message } from "./message.js";
import type * as model from "./model.js";
import { OnHistory, OnHistoryGap, OnHistoryRemoved, OnPresence } from "./names.js";
import type { NSConn, RoomState } from "./nsconn.js";
import type { AskOptions, HistoryQuery, PresenceQuery, PublishOptions } from "./options.js";

/** An entry of the answer to a read of a history. */
type Entry = model.HistoryEntry & { binary?: string };

/** A joined room. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export class Room<E = any> implements RoomState<E> {
  recovered = false;
  /** The position of the last message that has arrived. */
  _received: string;
  /** The ID of the connection on which it was complete until then. */
  private _since = "";
  /** The position of the join in flight. */
  private _asked = "";
  private _isUnderstood = false;
  /** How many messages still follow a join, and the position after them. */
  private _missing = 0;
  private _head = "";

  constructor(
    readonly nsConn: NSConn<E>,
    readonly name: string,
    /** Follows the handlers. */
    public position = "",
    /** How many messages the next join asks for. */
    private _history = 0,
  ) {
    this._received = position;
  }

  emit<K extends Name<E>>(event: K, ...[body, options]: BodyParameter<E[K]>): boolean {
    return this.nsConn.conn.write(this.nsConn._message(event, { ...options, Room: this.name, Body: body }));
  }

  publish<K extends Name<E>>(event: K, body?: BodyOf<E[K]>, options?: PublishOptions): Promise<string> {
    return this.nsConn._session._publisher._publish(this as RoomState, event, body, options);
  }

  leave(options?: AskOptions): Promise<void> {
    return this.nsConn._session._leave(this.nsConn, this as model.Room<E>, options);
  }

  presence(query?: PresenceQuery, options?: AskOptions): Promise<model.PresencePage> {
    return this._read(OnPresence, query, options, (page: model.PresencePage) => page);
  }

  private _read<P>(event: string, query: object = {}, options: AskOptions | undefined, apply: (page: P) => P): Promise<P> {
    const m = this.nsConn._message(event, { Room: this.name, Body: marshal(query) });
    return this.nsConn._session._ask(m, options, (answer) => apply(answer.unmarshal() as P));
  }

  history(query?: HistoryQuery, options?: AskOptions): Promise<model.HistoryPage> {
    return this._read(OnHistory, query, options, (page: model.HistoryPage) => {
      page.entries = page.entries.map(({ binary, body = "", ...entry }: Entry) => ({
        ...entry,
        body: binary === undefined ? body : Uint8Array.from(atob(binary), (one) => one.charCodeAt(0)),
      }));
      return page;
    });
  }

  /** Returns the parameters of a join, if the server understands them. */
  _begin(isUnderstood: boolean): string | false {
    this.recovered = false;
    this._asked = this._received;
    this._isUnderstood = isUnderstood;
    return isUnderstood && `${this._received},${this._history},${/^[ -:<-~]{0,64}$/.test(this._since) ? this._since : ""};`;
  }

  /**
   * Takes the body of the answer to a join. Returns the position of the room
   * if messages are missing after the position that this side had.
   */
  _end(body: string): string | undefined {
    const [, recovered, position = "", count = 0] = (this._isUnderstood && /^([01]),([\w-]{0,24}),(\d{0,9});/.exec(body)) || [];
    this.recovered = recovered === "1";
    // After a reconnect, older messages could be repeats.
    this._history = 0;
    this._missing = +count;
    this._head = position;
    const isGap = this._asked && !this.recovered;
    // The server can have joined the room before, and sent messages.
    if (!this._missing && (position || (isGap && this._received === this._asked))) this._reach(position);
    return isGap ? position : undefined;
  }

  /** Takes the answer to the first join. */
  _enter(body: string): void {
    this._end(body);
    this.position = this._received;
  }

  /** Takes the position of a message; returns the one that is reached. */
  _receive(position: string): string {
    if (this._missing > 1) this._received = position;
    // Own emits of the last connection can follow the last missed message.
    else this._reach((this._missing && this._head) || position);
    if (this._missing) this._missing--;
    return this._received;
  }

  private _reach(position: string): void {
    this._received = position;
    this._since = this.nsConn.conn.ID;
  }
}

/** Makes the position visible that has arrived: handlers can be far behind. */
export const follow = (room: RoomState, position = room._received) => () => void (room.position = position);

/** Returns the fields of the event with which a server notifies the members of a room. */
export function noticeOf({ Event, Room, Body }: Message): Partial<Message> | undefined {
  if (Event === OnPresence) return { Room, Body };
  return Event === OnHistoryGap || Event === OnHistoryRemoved ? { Room, position: toText(Body) } : undefined;
}

/**
 * Takes the position of an emit out of its token field. The result is called
 * when the emit is handled.
 */
export function takePosition(ns: NSConn | undefined, m: Message): (() => void) | undefined {
  if (m.wait[0] !== "@") return undefined;
  m.position = /^@([\w-]{1,24})$/.exec(m.wait)?.[1] ?? "";
  m.wait = "";
  const room = ns?.rooms.get(m.Room) ?? ns?._entering.get(m.Room);
  return m.position && room ? follow(room, room._receive(m.position)) : undefined;
}
