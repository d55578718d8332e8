import { encode, hello, serialize } from "./codec.js";
import { tokenOf } from "./credentials.js";
import type { Driver } from "./driver.js";
import { closeCause, ErrBadNamespace, ErrClosed, ErrDisconnected, ErrTimeout, ErrTooBig, isUnauthorized, StoaError, toError, withCause } from "./errors.js";
import type { AnyEvents, Name } from "./events.js";
import type { Table } from "./handlers.js";
import { Message, toBytes, type Data } from "./message.js";
import type * as model from "./model.js";
import { isSystemEvent, OnAuthenticate, OnPresence } from "./names.js";
import { NSConn } from "./nsconn.js";
import type { AskOptions, Clock, Options } from "./options.js";
import { after, onAbort, withTimeout } from "./promises.js";
import { Queue } from "./queue.js";
import { longestDelay, retryDelay } from "./reconnect.js";
import { rejoin } from "./rejoin.js";
import { answerRequest } from "./requests.js";
import { SendBuffer } from "./sendbuffer.js";
import { Session } from "./session.js";
import type { State, Transition } from "./state.js";
import { Transport, type Close } from "./transport.js";
import { onWake } from "./wake.js";

const systemClock: Clock = {
  now: () => performance.now(),
  setTimeout: (run, milliseconds) => setTimeout(run, milliseconds),
  clearTimeout: (timer) => clearTimeout(timer as number),
  random: () => Math.random(),
};

// How long the server may take to answer a probe, in milliseconds.
const probeTimeout = 5000;

// The longest pause before a confirmed emit is sent again, in milliseconds.
const longestPause = 5000;

// The close code of an identity that has ended; see wire/codes.go.
const expired = 4004;
// The longest time for a renewal, in milliseconds: a day.
const longestRenewal = 86_400_000;

/** A connection across reconnects: one transport after the other. */
export class Conn<E = AnyEvents> implements model.Conn<E>, Driver {
  ID = "";
  state: State = "connecting";
  reconnectTries = 0;

  readonly _clock: Clock;
  readonly _askTimeout: number;
  readonly _receiveLimit: number;
  readonly _maxNamespaces: number;
  readonly _maxRooms: number;
  readonly _queue = new Queue();
  private _session = new Session(this, answerRequest);
  private _buffer: SendBuffer;
  private _transport?: Transport;
  private _listeners = new Set<[string, (event: never) => void]>();
  private _attempt = 0;
  private _exponent = 0;
  private _timer: unknown;
  private _stableTimer: unknown;
  private _renewTimer: unknown;
  /** The connection whose identity is being renewed. */
  private _renewing?: Transport;
  // Removes the listeners on the platform and on the signal.
  private _end = new AbortController();

  constructor(
    private _url: string,
    private _handlers: Table,
    private _options: Options,
  ) {
    this._clock = _options.clock ?? systemClock;
    this._buffer = new SendBuffer(_options.buffer ?? {});
    this._askTimeout = _options.askTimeout ?? 30_000;
    this._receiveLimit = _options.receiveQueue ?? 4 << 20;
    this._maxNamespaces = _options.maxNamespaces ?? 64;
    this._maxRooms = _options.maxRooms ?? 1024;
    if (_options.onState) this.on("state", _options.onState);
  }

  async connect<N extends Name<E>>(namespace: N, options?: AskOptions): Promise<model.NSConn<E[N]>> {
    if (this.isClosed()) throw ErrClosed;
    return this._session._connect(namespace, options);
  }

  async waitServerConnect<N extends Name<E>>(namespace: N, options: AskOptions = {}): Promise<model.NSConn<E[N]>> {
    if (!this._handlers.has(namespace)) throw ErrBadNamespace;
    return withTimeout(this._clock, options, (resolve, reject) => {
      const look = () => {
        const ns = this.namespace(namespace);
        if (ns) resolve(ns);
        else if (this.isClosed()) reject(ErrClosed);
        else return;
        forget();
      };
      const ends = [this.on("namespace", look), this.on("state", look)];
      const forget = () => ends.forEach((end) => end());
      look();
      return forget;
    });
  }

  namespace<N extends Name<E>>(namespace: N): model.NSConn<E[N]> | undefined {
    return this._session._namespaces.get(namespace);
  }

  disconnectAll(options?: AskOptions): Promise<void> {
    return this._session._disconnectAll(options);
  }

  write(fields: Partial<Message>): boolean {
    const message = new Message(fields);
    if (this._check(message)) return false;
    const isVolatile = message.volatile && !message.IsNative;
    if (isVolatile && /v/.test(this._session._features)) message.wait = "~";
    const payload = serialize(message);
    let accepted = true;
    const drop = (error: Error) => {
      accepted = this._options.buffer?.policy === "drop";
      this._emitEvent("drop", { message, error });
    };
    const fits = this._fits(payload);
    if (!fits) drop(ErrTooBig);
    else if (!isVolatile) this._dispatch(message, () => this._send(payload), drop, payload.length);
    else if (this.state === "connected") this._transport?._send(payload, true);
    return fits && accepted;
  }

  async ask(fields: Partial<Message>, options?: AskOptions): Promise<Message> {
    const message = new Message({ ...fields, Body: encode(fields.Body) });
    const error = this._check(message);
    if (error) throw error;
    return this._session._ask(message, options, (answer) => answer);
  }

  close(code = 1000, reason = ""): void {
    if (this.isClosed()) return;
    this._transport?._close(code, reason);
    this._close({ code, reason }, true);
  }

  isClosed(): boolean {
    return this.state === "closed";
  }

  wasReconnected(): boolean {
    return !!this.reconnectTries;
  }

  on<K extends keyof model.ConnEvents>(event: K, listener: (event: model.ConnEvents[K]) => void): () => void {
    const entry: [string, (event: never) => void] = [event, listener];
    this._listeners.add(entry);
    return () => this._listeners.delete(entry);
  }

  _start(): void {
    const { signal } = this._options;
    const aborted = () => this._close({ code: 1000, reason: "", error: signal?.reason }, true);
    if (signal?.aborted) return aborted();
    const until = this._end.signal;
    until.addEventListener("abort", onAbort(signal, aborted));
    onWake(() => this._wake(), until);
    this._dial();
  }

  _fits(payload: Data): boolean {
    const limit = this._options.messageLimit ?? 65_536;
    // A UTF-16 unit takes at most three bytes.
    return payload.length * 3 <= limit || toBytes(payload).length <= limit;
  }

  _send(payload: Data): void {
    this._transport?._send(payload);
  }

  _failed(error: Error): void {
    this._transport?._fail(error);
  }

  _refused(text: string): void {
    if (this._transport) this._transport._refusal = text;
  }

  _newNamespace(namespace: string): NSConn | undefined {
    const handlers = this._handlers.get(namespace);
    return handlers && new NSConn(this as model.Conn<E>, namespace, handlers, this._session);
  }

  private _check(message: Message): Error | undefined {
    return this.isClosed() ? ErrClosed : this._session._check(message);
  }

  _dispatch(message: Message, run: () => void, failed: (error: Error) => void, size = 0): () => void {
    const entry = {
      _size: size,
      _run: () => {
        // The server may have refused the namespace or the room on rejoining.
        const error = isSystemEvent(message.Event) ? undefined : this._session._check(message);
        if (error) failed(error);
        else run();
      },
      _fail: failed,
    };
    if (this._isReady()) run();
    else {
      const error = this.isClosed() ? ErrClosed : this._buffer._add(entry);
      if (error) failed(error);
    }
    return () => this._buffer._remove(entry);
  }

  _isReady(): boolean {
    return this.state === "connected" && !!this._transport?._isOpen;
  }

  _pause(failures: number): number {
    return Math.min(this._clock.random() * longestDelay(this._options.reconnect, failures), longestPause);
  }

  /** Names the features that the application can use. */
  private _hello(): string {
    const hasPresence = [...this._handlers.values()].some((handlers) => handlers.has(OnPresence));
    return hello + (this._options.authenticate ? " expiry" : "") + (hasPresence ? " presence" : "");
  }

  private _dial(): void {
    this._timer = undefined;
    const transport = new Transport(this._clock, this._options, {
      _opened: () => transport._send(this._hello()),
      _receive: (payload) => this._session._receive(payload),
      _probe: () => this._session._probe(),
      _lost: (close) => this._lost(close),
    });
    this._transport = transport;
    void transport._dial(this._url, this._attempt, this.state === "connecting");
  }

  _accepted(id: string): void {
    this.ID = id;
    const transport = this._transport;
    transport?._accepted();
    if (this.state === "connecting") return this._connected();
    // A lost transport reports its loss itself; any other error closes it.
    const failed = (error: Error) => transport?._fail(error);
    const stop = this._askTimeout ? after(this._clock, this._askTimeout, () => failed(ErrTimeout)) : undefined;
    void rejoin(this._session)
      .then(() => {
        if (transport === this._transport) this._connected();
      }, failed)
      .finally(stop);
  }

  private _connected(): void {
    const transport = this._transport;
    if (this.state === "reconnecting") this.reconnectTries = this._attempt;
    this._buffer._flush(() => !!transport?._isOpen);
    // The transport is about to report its close.
    if (!transport?._isOpen) return;
    this._stableTimer = this._clock.setTimeout(() => (this._exponent = 0), longestDelay(this._options.reconnect, this._exponent));
    this._setState("connected");
    this._attempt = 0;
    this._session._publisher._flush();
  }

  /** Hands in a new token, as the server will close the connection. */
  _expiring(left: number): void {
    const transport = this._transport;
    if (!this._options.authenticate || !transport || this._renewing === transport || !(left > 0)) return;
    this._renewing = transport;
    void this._renew(transport, Math.min(left, longestRenewal));
  }

  /** The pauses double: about six attempts, as a node takes few per minute. */
  private async _renew(transport: Transport, left: number, pause = left / 32): Promise<void> {
    let error: Error | undefined;
    let again = pause < left;
    try {
      const Body = tokenOf(await this._options.authenticate?.());
      if (!Body) throw new StoaError("authenticate has returned no token", "unauthorized");
      if (!transport._isOpen) return;
      error = await new Promise((resolve) => this._session._request(new Message({ Event: OnAuthenticate, Body }), (_, failed) => resolve(failed)));
    } catch (thrown) {
      error = toError(thrown);
      again &&= !isUnauthorized(error);
    }
    if (error && !transport._isOpen) return;
    const delay = error && again ? (pause * (1 + this._clock.random())) / 2 : undefined;
    if (delay) this._renewTimer = this._clock.setTimeout(() => void this._renew(transport, left, 2 * pause), delay);
    else this._renewing = undefined;
    this._emitEvent("renewal", { error, delay });
  }

  private _lost(close: Close): void {
    this._clock.clearTimeout(this._stableTimer);
    this._clock.clearTimeout(this._renewTimer);
    // Without others, the ended credentials would be sent again.
    if (close.code === expired && !this._options.authenticate) close.final = true;
    this._session._fail(ErrDisconnected);
    // The loss of a connection is no failed attempt.
    const failed = ++this._attempt - +(this.state !== "connecting");
    const delay = retryDelay(this._options.reconnect, this._clock, failed, this._exponent++, close);
    if (delay === undefined) return this._close(close);
    if (delay === Infinity) return this._close({ ...close, error: withCause("gave up connecting", "gave_up", closeCause(close)) });
    this._timer = this._clock.setTimeout(() => this._dial(), delay);
    this._setState(this.state === "connecting" ? this.state : "reconnecting", { ...close, delay });
  }

  /** Closes for good, on behalf of the application or because of a close. */
  private _close(close: Close, byApplication = false): void {
    if (this.isClosed()) return;
    this._transport?._close();
    this._clock.clearTimeout(this._timer);
    this._clock.clearTimeout(this._stableTimer);
    this._clock.clearTimeout(this._renewTimer);
    this._end.abort();
    const error = byApplication ? close.error : closeCause(close);
    this._setState("closed", { ...close, error });
    this._session._fail(ErrClosed);
    this._session._publisher._cancel(ErrClosed);
    this._buffer._fail(ErrClosed);
    // Messages that arrived before the server closed are still handled;
    // those that arrived before the application closed are not.
    if (byApplication) this._queue._clear();
    this._queue._push(async () => {
      const fields = { IsForced: true, IsLocal: byApplication, Err: error };
      for (const ns of [...this._session._namespaces.values()]) await this._session._removeNamespace(ns, fields);
    });
  }

  /** Dials or probes at once, because the network or the page is back. */
  private _wake(): void {
    if (this._timer !== undefined) {
      this._clock.clearTimeout(this._timer);
      this._dial();
    } else if (this.state === "connected") this._transport?._probe(probeTimeout);
  }

  private _setState(state: State, details?: Partial<Transition>): void {
    const transition = { state, previous: this.state, attempt: this._attempt, ...details };
    this.state = state;
    this._emitEvent("state", transition);
  }

  _emitEvent<K extends keyof model.ConnEvents>(event: K, value: model.ConnEvents[K]): void {
    let hasListener = event !== "error";
    for (const [name, listener] of [...this._listeners]) {
      if (name !== event) continue;
      hasListener = true;
      // An exception in a listener must not stop the others.
      // eslint-disable-next-line @typescript-eslint/require-await -- turns an exception into a rejection
      void (async () => (listener as (value: model.ConnEvents[K]) => void)(value))();
    }
    if (!hasListener) void Promise.reject(value);
  }
}
