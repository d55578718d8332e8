import { encode, escape, join } from "./codec.js";
import type { Driver } from "./driver.js";
import { ErrBadRoom, ErrClosed, ErrInvalidPayload, ErrTooBig, ErrUnavailable, ErrUnhandled, badOption, withCause } from "./errors.js";
import { toBytes, toText, type Message } from "./message.js";
import { OnRoomPublish } from "./names.js";
import type { NSConn, RoomState } from "./nsconn.js";
import type { PublishOptions } from "./options.js";
import { after, withTimeout } from "./promises.js";

// How many are in flight at most; a node answers 64 of a connection.
const most = 32;
// How long after its first copy an emit is sent again, in milliseconds. A node
// remembers IDs for two minutes, and a copy can be half a minute on its way.
const longest = 90_000;

/** The session as these emits need it. */
interface Sender {
  readonly _driver: Driver;
  readonly _features: string;
  _check(m: Message): Error | undefined;
  _request(m: Message, end: (answer?: Message, error?: Error) => void): void;
}

/** A confirmed emit that has not ended. */
interface Entry {
  _message: Message;
  _room: RoomState;
  /** Reports, once a copy was sent, whether a further one comes too late. */
  _isOld?: () => boolean;
  _stop?: () => void;
  _isFlying?: boolean;
  /** How often the server was unavailable. */
  _tries?: number;
  /** An earlier copy may be published. */
  _isDoubtful?: boolean;
  /** The server has refused the first copy. */
  _isRefused?: boolean;
  _cause?: Error;
  _resolve: (position: string) => void;
  _reject: (error: unknown) => void;
}

/**
 * The confirmed emits of a session until they end. The Go client has the same
 * rules in internal/outbox, with a simulation.
 */
export class Publisher {
  private _entries = new Set<Entry>();
  private _flying = 0;
  /** The rooms in which the server was unavailable, until the next time, with the ends of their timers. */
  private _held = new Map<RoomState, () => void>();

  constructor(private _session: Sender) {}

  async _publish(room: RoomState, event: string, body: unknown, { id = newID(), timeout = this._session._driver._askTimeout, signal }: PublishOptions = {}): Promise<string> {
    const nsConn = room.nsConn as NSConn;
    const error = nsConn.conn.isClosed() ? ErrClosed : this._session._check(nsConn._message(event, { Room: room.name }));
    if (error) throw error;
    if (!/^[ -+\--:<-~]{1,64}$/.test(id)) throw badOption("ID", id);
    const data = encode(body);
    const head = `${id},${escape(event)};`;
    const Body = typeof data === "string" ? head + data : join(toBytes(head), data);
    const entry = { _message: nsConn._message(OnRoomPublish, { Room: room.name, Body }), _room: room } as Entry;
    try {
      return await withTimeout(this._session._driver._clock, { timeout, signal }, (resolve, reject) => {
        entry._resolve = resolve;
        entry._reject = reject;
        this._entries.add(entry);
        this._flush();
        return () => this._remove(entry);
      });
    } catch (cause) {
      if (entry._isRefused) throw cause;
      throw entry._isFlying || entry._isDoubtful
        ? withCause("the message may have been published", "unconfirmed", cause)
        : withCause("the message was not published", "not_published", cause);
    }
  }

  /** Sends all emits that may be sent, in the order of the calls. */
  _flush(): void {
    const { _driver } = this._session;
    for (const entry of this._entries) {
      if (!_driver._isReady() || this._flying >= most) return;
      if (entry._isFlying || this._held.has(entry._room)) continue;
      if (entry._isOld?.()) this._end(entry);
      else {
        entry._isFlying = true;
        this._flying++;
        if (!/p/.test(this._session._features)) this._answer(entry, entry._message, ErrUnhandled);
        else {
          entry._isOld ??= this._begin(entry);
          this._session._request(entry._message, (answer, error) => this._answer(entry, answer, error));
        }
      }
    }
  }

  /** Begins the time of the copies, by two clocks: one may stand still while the machine sleeps. */
  private _begin(entry: Entry): () => boolean {
    const { _clock } = this._session._driver;
    const ends = [_clock.now() + longest, Date.now() + longest] as const;
    entry._stop = after(_clock, longest, () => entry._isFlying || this._end(entry));
    return () => _clock.now() >= ends[0] || Date.now() >= ends[1];
  }

  private _answer(entry: Entry, answer?: Message, error?: Error): void {
    const isLost = !answer && error !== ErrTooBig;
    this._flying--;
    if (isLost) this._release();
    if (this._entries.has(entry)) {
      entry._isFlying = false;
      entry._cause = error;
      if (isLost || error === ErrUnavailable) {
        entry._isDoubtful = true;
        if (error === ErrClosed || entry._isOld?.()) this._end(entry);
        else if (!isLost) this._hold(entry);
      } else {
        const position = toText(answer?.Body);
        if (error) entry._isRefused = !entry._isDoubtful;
        else if (/^[\w-]{1,24}$/.test(position)) entry._resolve(position);
        else entry._isDoubtful = true;
        this._end(entry, error ?? ErrInvalidPayload);
      }
    }
    this._flush();
  }

  /** Pauses a room: later emits must not overtake this one. */
  private _hold(entry: Entry): void {
    const { _driver } = this._session;
    entry._tries = (entry._tries ?? 0) + 1;
    if (this._held.has(entry._room)) return;
    const timer = _driver._clock.setTimeout(() => {
      this._held.delete(entry._room);
      this._flush();
    }, _driver._pause(entry._tries));
    this._held.set(entry._room, () => _driver._clock.clearTimeout(timer));
  }

  /** Ends all pauses. */
  private _release(): void {
    for (const stop of this._held.values()) stop();
    this._held.clear();
  }

  private _remove(entry: Entry): void {
    this._entries.delete(entry);
    entry._stop?.();
  }

  private _end(entry: Entry, error = entry._cause): void {
    this._remove(entry);
    entry._reject(error);
  }

  /** Ends the emits of a room that has ended, or all of them. */
  _cancel(error: Error = ErrBadRoom, ns?: NSConn, name?: string): void {
    if (!ns) this._release(); // a timer keeps a process alive
    for (const entry of this._entries) if (!ns || (entry._room.name === name && entry._room.nsConn === ns)) this._end(entry, error);
  }
}

/** 128 random bits. */
const newID = () => crypto.getRandomValues(new Uint32Array(4)).join("-");
