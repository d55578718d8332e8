import { hello, serialize } from "./codec.js";
import { ErrBadNamespace, ErrClosed, ErrDisconnected, errorFor } from "./errors.js";
import type { AnyEvents, Name } from "./events.js";
import type { Table } from "./handlers.js";
import { Link, type End } from "./link.js";
import { Mailbox } from "./mailbox.js";
import { Message, type Data } from "./message.js";
import { isSystemEvent, OnNamespaceDisconnect } from "./names.js";
import { NSConn } from "./nsconn.js";
import type { AskOptions, Clock, ConnEvents, Options, State, Transition } from "./options.js";
import { Outbox } from "./outbox.js";
import { all, bounded } from "./promises.js";
import { mayReturn, retryDelay } from "./reconnect.js";
import { rejoin } from "./rejoin.js";
import { Session } from "./session.js";
import { onWake } from "./wake.js";

const systemClock: Clock = {
  setTimeout: (run, milliseconds) => setTimeout(run, milliseconds),
  clearTimeout: (timer) => clearTimeout(timer as number),
  random: () => Math.random(),
};

// The delays begin anew only when a connection has lasted so long, in
// milliseconds: a server that closes at once must not be dialled all the time.
const stableAfter = 20_000;
// How long the server may take to show that it is there, in milliseconds.
const probeTimeout = 5000;

/** A connection, through all reconnects. Made by dial. */
export class Conn<E = AnyEvents> {
  /** What the server calls this connection; a new one after each reconnect. */
  ID = "";
  state: State = "connecting";
  /** How many attempts the last reconnect took; 0 if there was none. */
  reconnectTries = 0;

  /** @internal */
  readonly _clock: Clock;
  /** @internal */
  readonly _askTimeout: number;
  private _session = new Session(this);
  /** @internal */
  readonly _mailbox = new Mailbox();
  private _outbox: Outbox;
  private _link?: Link;
  private _listeners = new Set<[string, (event: never) => void]>();
  private _attempt = 0;
  private _exponent = 0;
  private _timer: unknown;
  private _stable: unknown;
  private _probing = false;
  // Ends what listens to the platform.
  private _end = new AbortController();

  /** @internal */
  constructor(
    private _url: string,
    private _handlers: Table,
    private _options: Options,
  ) {
    this._clock = _options.clock ?? systemClock;
    this._outbox = new Outbox(_options.buffer ?? {});
    this._askTimeout = _options.askTimeout ?? 30_000;
    if (_options.onState) this.on("state", _options.onState);
  }

  /** Connects a namespace, or returns the one that is connected. */
  async connect<N extends Name<E>>(namespace: N, options?: AskOptions): Promise<NSConn<E[N]>> {
    if (this.isClosed()) throw ErrClosed;
    return this._session.connect(namespace, options);
  }

  /** Waits until the server has connected a namespace; without a limit of time unless one is given. */
  async waitServerConnect<N extends Name<E>>(namespace: N, options: AskOptions = {}): Promise<NSConn<E[N]>> {
    if (!this._handlers.has(namespace)) throw ErrBadNamespace;
    return bounded(this._clock, options, (resolve, reject) => {
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

  /** A namespace that is connected. */
  namespace<N extends Name<E>>(namespace: N): NSConn<E[N]> | undefined {
    return this._session.namespaces.get(namespace);
  }

  /** Disconnects all namespaces; rejects with the first refusal, after all have been answered. */
  disconnectAll(options?: AskOptions): Promise<void> {
    return all([...this._session.namespaces.values()].map((ns) => ns.disconnect(options)));
  }

  /**
   * Writes a message without waiting for an answer. Returns false if it was
   * not taken: the connection is closed, the namespace not connected, the room
   * not joined, or the buffer does not take it while the connection is away.
   */
  write(fields: Partial<Message>): boolean {
    const message = new Message(fields);
    if (this._check(message)) return false;
    const payload = serialize(message);
    let taken = true;
    this._dispatch(
      message,
      () => this._link?.send(payload),
      (error) => {
        taken = this._options.buffer?.policy === "drop";
        this._tell("drop", { message, error });
      },
      payload.length,
    );
    return taken;
  }

  /** Writes a message and resolves to the answer; rejects if that is an error. */
  async ask(fields: Partial<Message>, options?: AskOptions): Promise<Message> {
    const message = new Message(fields);
    const error = this._check(message);
    if (error) throw error;
    return this._session.ask(message, options, (answer) => answer);
  }

  /**
   * Closes the connection for good. What waits for an answer fails, the
   * handlers about leaving and disconnecting are called, and no others.
   */
  close(code = 1000, reason = ""): void {
    if (this.isClosed()) return;
    this._link?.close(code, reason);
    this._finish({ code, reason }, true);
  }

  /** Reports whether the connection is closed for good. */
  isClosed(): boolean {
    return this.state === "closed";
  }

  /** Reports whether this connection is the result of a reconnect. */
  wasReconnected(): boolean {
    return !!this.reconnectTries;
  }

  /** Listens until the function that is returned is called. */
  on<K extends keyof ConnEvents>(event: K, listener: (event: ConnEvents[K]) => void): () => void {
    const entry: [string, (event: never) => void] = [event, listener];
    this._listeners.add(entry);
    return () => this._listeners.delete(entry);
  }

  /** @internal */
  _start(): void {
    const { signal } = this._options;
    const aborted = () => this._finish({ code: 1000, reason: "", error: signal?.reason }, true);
    if (signal?.aborted) return aborted();
    const until = this._end.signal;
    signal?.addEventListener("abort", aborted, { signal: until });
    onWake(() => this._wake(), until);
    this._dial();
  }

  /** @internal */
  _send(payload: Data): void {
    this._link?.send(payload);
  }

  /** @internal */
  _refused(text: string): void {
    this._link?.fail(errorFor(text), true);
  }

  /** @internal */
  _place(namespace: string): NSConn | undefined {
    const events = this._handlers.get(namespace);
    return events && new NSConn(this, namespace, events, this._session);
  }

  private _check(message: Message): Error | undefined {
    return this.isClosed() ? ErrClosed : this._session.check(message);
  }

  /** @internal */
  _dispatch(message: Message, run: () => void, failed: (error: Error) => void, size = 0): () => void {
    const entry = {
      size,
      run: () => {
        // The namespace or the room may not have come back.
        const error = isSystemEvent(message.Event) ? undefined : this._session.check(message);
        if (error) failed(error);
        else run();
      },
      failed,
    };
    if (this.state === "connected" && this._link?.isOpen) run();
    else {
      const error = this.isClosed() ? ErrClosed : this._outbox.add(entry);
      if (error) failed(error);
    }
    return () => this._outbox.remove(entry);
  }

  private _dial(): void {
    this._timer = undefined;
    const link = new Link(this._clock, {
      opened: () => link.send(hello),
      receive: (payload) => this._session.receive(payload),
      ended: (end) => this._lost(end),
    });
    this._link = link;
    void link.dial(this._url, this._options, this._attempt);
  }

  /** @internal */
  _acknowledged(id: string): void {
    this.ID = id;
    const link = this._link;
    if (this.state === "connecting") return this._connected();
    // The link tells of its own loss; what cannot be answered now ends it.
    rejoin(this._session).then(
      () => {
        if (link === this._link) this._connected();
      },
      (error: Error) => link?.fail(error),
    );
  }

  private _connected(): void {
    const link = this._link;
    link?.accepted();
    if (this.state === "reconnecting") this.reconnectTries = this._attempt;
    this._outbox.flush(() => !!link?.isOpen);
    // The end of the link is about to be told.
    if (!link?.isOpen) return;
    this._stable = this._clock.setTimeout(() => (this._exponent = 0), stableAfter);
    this._turn("connected");
    this._attempt = 0;
  }

  private _lost(end: End): void {
    this._clock.clearTimeout(this._stable);
    this._session.lost(ErrDisconnected);
    this._attempt++;
    const delay =
      end.final || !mayReturn(end.code)
        ? undefined
        : retryDelay(this._options.reconnect, this._clock, this._attempt, this._exponent++, end.reason);
    if (delay === undefined) return this._finish(end);
    this._timer = this._clock.setTimeout(() => this._dial(), delay);
    this._turn(this.state === "connecting" ? this.state : "reconnecting", { ...end, delay });
  }

  /** The end, by this side or the other. */
  private _finish(end: End, byProgram = false): void {
    if (this.isClosed()) return;
    this._link?.close();
    this._clock.clearTimeout(this._timer);
    this._clock.clearTimeout(this._stable);
    this._end.abort();
    this._turn("closed", end);
    this._session.lost(ErrClosed);
    this._outbox.fail(ErrClosed);
    // What the server sent before it closed is still handled, what arrived
    // before the program closed is not.
    if (byProgram) this._mailbox.clear();
    this._mailbox.push(async () => {
      const fields = { IsForced: true, IsLocal: true, Err: end.error };
      for (const ns of [...this._session.namespaces.values()]) await this._session.ended(ns, fields);
    });
  }

  /** The network or the page is back: tries at once, or looks whether the server is still there. */
  private _wake(): void {
    if (this._timer !== undefined) {
      this._clock.clearTimeout(this._timer);
      this._dial();
    } else if (this.state === "connected" && !this._probing) {
      const link = this._link;
      this._probing = true;
      // Every server answers the request to disconnect what is not connected,
      // and nobody connects a namespace of this name.
      this._session
        .ask(new Message({ Namespace: "\0", Event: OnNamespaceDisconnect }), { timeout: probeTimeout }, () => 0)
        .catch((error: Error) => link?.fail(error))
        .finally(() => (this._probing = false));
    }
  }

  private _turn(state: State, about?: Partial<Transition>): void {
    const transition = { state, previous: this.state, attempt: this._attempt, ...about };
    this.state = state;
    this._tell("state", transition);
  }

  /** @internal */
  _tell<K extends keyof ConnEvents>(event: K, value: ConnEvents[K]): void {
    let heard = event !== "error";
    for (const [name, listener] of [...this._listeners]) {
      if (name !== event) continue;
      heard = true;
      // What a listener throws is its own affair, and must not stop this.
      // eslint-disable-next-line @typescript-eslint/require-await -- to make a rejection of it
      void (async () => (listener as (value: ConnEvents[K]) => void)(value))();
    }
    if (!heard) void Promise.reject(value);
  }
}
