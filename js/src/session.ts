import { parse, serialize } from "./codec.js";
import type { Driver } from "./driver.js";
import * as errors from "./errors.js";
import { isReply, Message, toText, type Data, type Reply } from "./message.js";
import type * as model from "./model.js";
import * as names from "./names.js";
import type { NSConn, RoomState, SessionRequests } from "./nsconn.js";
import type { AskOptions, JoinOptions } from "./options.js";
import { sizeOf } from "./queue.js";
import { all, thenMaybe, tryCall, withTimeout } from "./promises.js";
import { Publisher } from "./publish.js";
import { noticeOf, Room, takePosition } from "./room.js";

// With so many requests in flight, a failed one drops its late answer.
const maxPending = 1000;

interface Pending {
  _request: Message;
  /** Takes the answer, or the reason why there is none. */
  _end: (answer?: Message, error?: Error) => unknown;
}

/** Decides on a system request of the server and answers it. */
type AnswerRequest = (session: Session, request: Message, epoch: number) => unknown;

/**
 * The protocol rules of a client, across reconnects. It does no I/O and has
 * neither timers nor random numbers of its own.
 */
export class Session implements SessionRequests {
  readonly _namespaces = new Map<string, NSConn>();
  readonly _publisher = new Publisher(this);
  /** Counts the connections. */
  _epoch = 0;
  private _isOpen = false;
  /** The optional parts of the protocol that the server has named. */
  _features = "";
  private _early: Data[] = [];
  private _earlySize = 0;
  private _asks = 0;
  private _pending = new Map<string, Pending>();
  /** The asks of the application that wait for the connection. */
  private _unsent = new Set<Message>();
  /** The accepted joins whose handlers still run. */
  private _deciding = new Set<Message>();

  constructor(
    readonly _driver: Driver,
    private _answerRequest: AnswerRequest,
  ) {}

  /** Takes a payload of the server. */
  _receive(payload: Data): void {
    if (!payload.length) return;
    if (this._isOpen) return this._receiveMessage(payload);
    const text = toText(payload);
    if (text[0] === "H") return this._driver._refused(text.slice(1));
    if (text[0] !== "A") {
      this._earlySize += sizeOf(payload);
      if (this._earlySize > this._driver._receiveLimit) return this._driver._failed(errors.ErrSlowReader);
      return void this._early.push(payload);
    }
    this._isOpen = true;
    this._features = /( positions| volatile)*$/.exec(text)![0];
    this._driver._accepted(text.slice(1, text.length - this._features.length));
    for (const early of this._early.splice(0)) this._receiveMessage(early);
  }

  /** Fails the requests in flight, because the connection was lost. */
  _fail(error: Error): void {
    this._isOpen = false;
    this._epoch++;
    this._early = [];
    this._earlySize = 0;
    for (const token of this._pending.keys()) this._settle(token, undefined, error);
    for (const m of this._deciding) this._abort(m, error);
    for (const ns of this._namespaces.values()) ns._entering.clear();
  }

  private _receiveMessage(payload: Data): void {
    const epoch = this._epoch;
    const message =
      parse(payload) ??
      new Message({ Event: names.OnNativeMessage, Body: payload, IsNative: true, SetBinary: typeof payload !== "string" });
    // Answers bypass the queue, because a running handler may await one.
    const number = /^\$([1-9]\d*)$/.exec(message.wait)?.[1];
    if (number && +number <= this._asks) return this._settle(message.wait, message, message.Err);
    // Only an answer can be an error: events would bounce for ever.
    if (message.isError) return;
    const follow = takePosition(this._namespaces.get(message.Namespace), message);
    if (message.Event === names.OnAuthenticate && !message.wait) return this._driver._expiring(+message.Body);
    const { _queue, _receiveLimit } = this._driver;
    if (_queue._size > _receiveLimit) this._driver._failed(errors.ErrSlowReader);
    else _queue._push(() => (follow?.(), this._handle(message, epoch)), sizeOf(payload));
  }

  private _handle(m: Message, epoch: number): unknown {
    const ns = this._namespaces.get(m.Namespace);
    if (names.isSystemEvent(m.Event)) {
      const notice = m.wait ? undefined : noticeOf(m);
      if (!m.wait) return notice && ns?.rooms.has(m.Room) && this._notify(ns, m.Event, notice);
      // Requests belong to one connection; the next one does not know them.
      return !m.isNoOp && epoch === this._epoch ? this._answerRequest(this, m, epoch) : undefined;
    }
    if (!ns) return this._refuse(m, epoch, errors.ErrBadNamespace);
    ns._push(m);
    if (!m.wait) return this._callHandler(ns, m);
    if (!ns._handlerOf(m)) return this._refuse(m, epoch, errors.ErrUnhandled);
    return this._callHandler(ns, m, (result) => {
      if (result instanceof Error) return this._refuse(m, epoch, result);
      return this._reply(m, epoch, result?.body);
    });
  }

  /** Runs the handler of a message. Next takes the error or the reply; without it an exception becomes the event "error". */
  _callHandler<T>(ns: NSConn, m: Message, next?: (result?: Error | Reply) => T): T | undefined | PromiseLike<T | undefined> {
    return tryCall(
      () => ns._handlerOf(m)?.(ns, m),
      (result) => next?.(result instanceof Error || isReply(result) ? result : undefined),
      (thrown) => (next ? next(errors.toError(thrown)) : void this._driver._emitEvent("error", errors.toError(thrown))),
    );
  }

  /** Notifies the application of a change that it cannot refuse. */
  _notify(ns: NSConn, event: string, fields: Partial<Message>): unknown {
    return this._callHandler(ns, ns._message(event, fields));
  }

  /** Sends an answer, empty by default, unless the connection was lost. */
  _answer(m: Message, epoch: number, payload: Data = `${m.wait};;;;;;`): void {
    if (m.wait && epoch === this._epoch) this._driver._send(payload);
  }

  /** Answers with a body, or with the error of a body that cannot be sent. */
  private _reply(m: Message, epoch: number, Body: unknown): void {
    let payload;
    try {
      payload = serialize(new Message({ ...m, Body }));
    } catch (thrown) {
      this._refuse(m, epoch, errors.ErrInternal);
      throw thrown;
    }
    if (this._driver._fits(payload)) this._answer(m, epoch, payload);
    else this._refuse(m, epoch, errors.ErrTooBig);
  }

  /** Answers with an error, always as text: neffos.js cannot read others. */
  _refuse(m: Message, epoch: number, error: Error): void {
    this._answer(m, epoch, serialize(new Message({ ...m, Err: error, Body: "", SetBinary: false })));
  }

  /** Reports whether this side asks for an event with the names of m. */
  _isAsking(event: string, m: Message): boolean {
    for (const { _request } of this._pending.values()) {
      if (_request.Event === event && _request.Namespace === m.Namespace && _request.Room === m.Room) return true;
    }
    return false;
  }

  /** Returns the requests of this side that are not finished, in order. */
  private _requests(): Message[] {
    return [...this._deciding, ...[...this._pending.values()].map(({ _request }) => _request), ...this._unsent];
  }

  /** Reports whether the last request of this side is one to leave. */
  private _isEnding(namespace: string, room = ""): boolean {
    const same = this._requests().filter((m) => m.Namespace === namespace && m.Room === room && /^_On(Room[JL]|Namesp)/.test(m.Event));
    return same.at(-1)?.Event === (room ? names.OnRoomLeave : names.OnNamespaceDisconnect);
  }

  /** Fails the joins that are equal to m and whose handlers still run. */
  _abort({ Namespace, Room }: Message, error: Error): boolean {
    let found = false;
    for (const m of this._deciding) {
      if (m.Namespace !== Namespace || m.Room !== Room) continue;
      found = this._deciding.delete(m);
      m.Err = error;
    }
    return found;
  }

  /** Sends a message with a token and calls end with the answer. The join of a room asks for missed messages. */
  _request(m: Message, end: Pending["_end"], room?: RoomState): void {
    m.wait = `$${++this._asks}`;
    const Body = room?._begin(/p/.test(this._features));
    const payload = serialize(Body ? new Message({ ...m, Event: names.OnRoomRecover, Body }) : m);
    if (!this._driver._fits(payload)) return void end(undefined, errors.ErrTooBig);
    this._pending.set(m.wait, { _request: m, _end: end });
    this._driver._send(payload);
  }

  /**
   * Asks, and resolves to the result of apply for the answer. Late is called
   * for a positive answer that arrives after the ask has failed.
   */
  _ask<T>(m: Message, { timeout = this._driver._askTimeout, signal }: AskOptions = {}, apply: (answer: Message) => T, late?: () => unknown, room?: RoomState): Promise<Awaited<T>> {
    return withTimeout(this._driver._clock, { timeout, signal }, (resolve, reject) => {
      let sent = false;
      this._unsent.add(m);
      const withdraw = this._driver._dispatch(
        m,
        () => {
          sent = true;
          this._unsent.delete(m);
          this._request(m, (answer, error) => {
            if (error || !answer) return reject(error);
            tryCall(() => apply(answer), resolve as (value: unknown) => void, reject);
          }, room);
        },
        (error) => {
          this._unsent.delete(m);
          reject(error);
        },
      );
      return () => {
        this._unsent.delete(m);
        if (!sent) return withdraw();
        const pending = this._pending.get(m.wait);
        if (!late || this._pending.size > maxPending) this._pending.delete(m.wait);
        // The server may still accept the request.
        else if (pending) pending._end = (_, error) => error ?? late();
      };
    });
  }

  /**
   * Sends a message to which any server answers. Applications do not use this
   * name. The answer is dropped, as it is not that of an ask in flight.
   */
  _probe(): void {
    const m = new Message({ wait: `$${++this._asks}`, Namespace: "\0", Event: names.OnNamespaceDisconnect });
    this._driver._send(serialize(m));
  }

  private _settle(token: string, answer?: Message, error?: Error): void {
    const pending = this._pending.get(token);
    this._pending.delete(token);
    pending?._end(answer, error);
  }

  /** Reverts a request that was accepted too late, unless it is repeated. */
  private _undo(m: Message, opposite: string): void {
    if (!this._isAsking(m.Event, m)) this._request(new Message({ ...m, Event: opposite }), () => undefined);
  }

  async _connect(name: string, options?: AskOptions): Promise<NSConn> {
    const found = this._namespaces.get(name);
    if (found && !this._isEnding(name)) return found;
    const ns = this._driver._newNamespace(name);
    if (!ns) throw errors.ErrBadNamespace;
    const m = ns._message(names.OnNamespaceConnect, { IsLocal: true });
    return this._callHandler(ns, m, (refusal) => {
      if (refusal instanceof Error) throw refusal;
      return this._ask(
        m,
        options,
        () => this._namespaces.get(name) ?? thenMaybe(this._addNamespace(ns, { IsLocal: true }), () => ns),
        () => {
          if (!this._namespaces.has(name)) this._undo(m, names.OnNamespaceDisconnect);
        },
      );
    }) as Promise<NSConn>;
  }

  /** Connects a namespace on this side. */
  _addNamespace(ns: NSConn, fields: Partial<Message>): unknown {
    this._namespaces.set(ns.namespace, ns);
    return thenMaybe(this._notify(ns, names.OnNamespaceConnected, fields), () => this._driver._emitEvent("namespace", ns));
  }

  async _disconnect(ns: NSConn, options?: AskOptions): Promise<void> {
    if (!this._has(ns)) throw errors.ErrBadNamespace;
    return this._disconnectName(ns.namespace, options);
  }

  private _disconnectName(Namespace: string, options?: AskOptions): Promise<void> {
    // A connect between two disconnects makes another NSConn.
    const end = async () => {
      const ns = this._namespaces.get(Namespace);
      if (ns) await this._removeNamespace(ns, { IsLocal: true });
    };
    return this._ask(new Message({ Namespace, Event: names.OnNamespaceDisconnect }), options, end, end);
  }

  /** Disconnects a namespace on this side, after leaving its rooms. */
  async _removeNamespace(ns: NSConn, fields: Partial<Message>, answer?: () => void): Promise<void> {
    if (!this._has(ns)) return;
    this._namespaces.delete(ns.namespace);
    for (const m of this._deciding) if (m.Namespace === ns.namespace) this._abort(m, errors.ErrBadNamespace);
    const rooms = [...ns.rooms.keys()];
    ns.rooms.clear();
    for (const room of rooms) await this._notifyLeft(ns, room, { ...fields, IsForced: true });
    answer?.();
    await this._notify(ns, names.OnNamespaceDisconnect, fields);
    ns._end();
  }

  async _join(ns: NSConn, name: string, options: JoinOptions = {}): Promise<model.Room> {
    // A connect after the disconnect makes another NSConn.
    if (!this._has(ns) || this._requests().some((m) => m.Namespace === ns.namespace && m.Event === names.OnNamespaceDisconnect)) throw errors.ErrBadNamespace;
    const found = ns.rooms.get(name);
    if (found && !this._isEnding(ns.namespace, name)) return found;
    const position = options.position ?? "";
    if (!/^[\w-]{0,24}$/.test(position)) throw errors.badOption("position", position);
    const m = ns._message(names.OnRoomJoin, { Room: name, IsLocal: true });
    const own = new Room(ns, name, position, options.history);
    let entering: RoomState = own;
    const undo = () => {
      if (this._has(ns) && !ns.rooms.has(name)) this._undo(m, names.OnRoomLeave);
    };
    const joined = (refusal?: Error | Reply) => {
      if (ns._entering.get(name) === entering) ns._entering.delete(name);
      if (!this._deciding.delete(m)) throw m.Err;
      if (!(refusal instanceof Error)) return this._addRoom(ns, name, { IsLocal: true }, entering);
      undo();
      throw refusal;
    };
    return this._ask(
      m,
      options,
      (answer) => {
        // The server has left the room together with the namespace.
        if (!this._has(ns)) throw errors.ErrBadNamespace;
        const room = ns.rooms.get(name);
        if (room) return room;
        entering = ns._entering.get(name) ?? own;
        if (entering === own) own._enter(toText(answer.Body));
        ns._entering.set(name, entering);
        this._deciding.add(m);
        return this._callHandler(ns, new Message(m), joined);
      },
      undo,
      own,
    ) as Promise<model.Room>;
  }

  /** Joins a room on this side. */
  _addRoom(ns: NSConn, name: string, fields: Partial<Message>, entering: RoomState = new Room(ns, name)): model.Room | PromiseLike<model.Room> {
    const room = ns.rooms.get(name) ?? entering;
    ns.rooms.set(name, room);
    return thenMaybe(this._notify(ns, names.OnRoomJoined, { ...fields, Room: name }), () => room);
  }

  async _leave(ns: NSConn, room: model.Room, options?: AskOptions): Promise<void> {
    if (!this._has(ns)) throw errors.ErrBadNamespace;
    if (ns.rooms.get(room.name) !== room) throw errors.ErrBadRoom;
    return this._leaveName(ns, room.name, options);
  }

  private _leaveName(ns: NSConn, Room: string, options?: AskOptions): Promise<void> {
    const m = ns._message(names.OnRoomLeave, { Room });
    const end = async () => {
      this._abort(m, errors.ErrBadRoom);
      if (ns.rooms.delete(Room)) await this._notifyLeft(ns, Room, {});
    };
    return this._ask(m, options, end, end);
  }

  /** Leaves the joined rooms, and those whose joins have no answer yet. */
  _leaveAll(ns: NSConn, options?: AskOptions): Promise<void> {
    const rooms = new Set(ns.rooms.keys());
    for (const { Namespace, Event, Room } of this._requests()) {
      if (Namespace === ns.namespace && Event === names.OnRoomJoin) rooms.add(Room);
    }
    return all([...rooms].map((room) => this._leaveName(ns, room, options)));
  }

  /** Disconnects all namespaces, and those whose connects have no answer. */
  _disconnectAll(options?: AskOptions): Promise<void> {
    const namespaces = new Set(this._namespaces.keys());
    for (const { Namespace, Event } of this._requests()) {
      if (Event === names.OnNamespaceConnect) namespaces.add(Namespace);
    }
    return all([...namespaces].map((name) => this._disconnectName(name, options)));
  }

  /** Notifies the application that it has left a room. */
  _notifyLeft(ns: NSConn, name: string, fields: Partial<Message>, answer?: () => void): unknown {
    const about = { ...fields, Room: name };
    this._publisher._cancel(fields.Err, ns, name);
    return thenMaybe(this._notify(ns, names.OnRoomLeave, about), () => {
      answer?.();
      return this._notify(ns, names.OnRoomLeft, about);
    });
  }

  /** Reports whether exactly this namespace is connected, not a later one. */
  _has(ns: NSConn): boolean {
    return this._namespaces.get(ns.namespace) === ns;
  }

  /** Returns an error for a message that the application may not send. */
  _check(m: Message): Error | undefined {
    const ns = this._namespaces.get(m.Namespace);
    if (m.IsNative) return undefined;
    if (!ns) return errors.ErrBadNamespace;
    if (m.Room && !ns.rooms.has(m.Room)) return errors.ErrBadRoom;
    return names.isSystemEvent(m.Event) ? errors.ErrInvalidName : undefined;
  }
}
