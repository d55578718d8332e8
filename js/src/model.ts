import type { AnswerOf, AnyEvents, BodyOf, BodyParameter, Name } from "./events.js";
import type { Data, Message, Reply } from "./message.js";
import type { AskOptions, EmitOptions, EventsOptions, HistoryQuery, JoinOptions, PresenceQuery, PublishOptions } from "./options.js";
import type { Drop, Renewal, State, Transition } from "./state.js";

// Types only: the classes that implement these interfaces import this module,
// and it imports none of them.

/** A connection that outlives reconnects. dial returns it. */
export interface Conn<E = AnyEvents> {
  /** The server's ID of the connection. It changes with each reconnect. */
  readonly ID: string;
  readonly state: State;
  /** The number of attempts that the last reconnect took; 0 without one. */
  readonly reconnectTries: number;

  /** Connects a namespace, or returns it if it is connected. */
  connect<N extends Name<E>>(namespace: N, options?: AskOptions): Promise<NSConn<E[N]>>;

  /**
   * Waits until the server has connected a namespace. Only options.timeout
   * limits the wait.
   */
  waitServerConnect<N extends Name<E>>(namespace: N, options?: AskOptions): Promise<NSConn<E[N]>>;

  /** Returns a connected namespace, or undefined. */
  namespace<N extends Name<E>>(namespace: N): NSConn<E[N]> | undefined;

  /**
   * Disconnects all namespaces. It waits for every answer, then rejects with
   * the first refusal if there is one.
   */
  disconnectAll(options?: AskOptions): Promise<void>;

  /**
   * Sends a message without waiting for an answer. Returns false if the
   * message is not accepted: the connection is closed, the namespace is not
   * connected, the room is not joined, or the send buffer rejects it while
   * the connection is lost.
   */
  write(fields: Partial<Message>): boolean;

  /** Sends a message and resolves to the answer; rejects if it is an error. */
  ask(fields: Partial<Message>, options?: AskOptions): Promise<Message>;

  /**
   * Closes the connection for good. Pending asks fail. Of the handlers only
   * those for leaving and disconnecting are still called.
   */
  close(code?: number, reason?: string): void;

  /** Reports whether the connection is closed for good. */
  isClosed(): boolean;

  /** Reports whether the connection has reconnected at least once. */
  wasReconnected(): boolean;

  /** Adds a listener and returns a function that removes it. */
  on<K extends keyof ConnEvents>(event: K, listener: (event: ConnEvents[K]) => void): () => void;
}

/** A connected namespace. It outlives reconnects until it is disconnected. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export interface NSConn<E = any> {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a namespace knows only its own events
  readonly conn: Conn<any>;
  readonly namespace: string;
  /** The joined rooms by name. Only joinRoom and leave change it. */
  readonly rooms: ReadonlyMap<string, Room<E>>;

  /** Sends an event; returns false if the message is not accepted. */
  emit<K extends Name<E>>(event: K, ...[body, options]: BodyParameter<E[K]>): boolean;

  /** Sends an event in a binary frame; returns false if it is not accepted. */
  emitBinary<K extends Name<E>>(event: K, body: Uint8Array, options?: EmitOptions): boolean;

  /** Sends an event and resolves to the answer; rejects if that is an error. */
  ask<K extends Name<E>>(event: K, body?: BodyOf<E[K]>, options?: AskOptions): Promise<Message<AnswerOf<E[K]>>>;

  /** Joins a room, or returns it if it is joined. */
  joinRoom(name: string, options?: JoinOptions): Promise<Room<E>>;

  /** Returns a joined room, or undefined. */
  room(name: string): Room<E> | undefined;

  /**
   * Leaves all rooms. It waits for every answer, then rejects with the first
   * refusal if there is one.
   */
  leaveAll(options?: AskOptions): Promise<void>;

  /** Disconnects the namespace; rejects if the server refuses. */
  disconnect(options?: AskOptions): Promise<void>;

  /**
   * Iterates over the messages that arrive from now on, of one event or of
   * all. The iteration ends when the namespace is disconnected. It keeps at
   * most options.limit unread messages. A loop that falls further behind
   * receives these, then the iteration throws ErrSlowReader.
   */
  events<K extends Name<E>>(event?: K, options?: EventsOptions): AsyncIterableIterator<Message<BodyOf<E[K]>>>;
}

/** A joined room. It outlives reconnects until it is left. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export interface Room<E = any> {
  readonly nsConn: NSConn<E>;
  readonly name: string;
  /**
   * Reports whether the last join had a position, by joinRoom or after a
   * reconnect, and all messages after it were available. They go to the
   * handlers like others, before new ones.
   */
  readonly recovered: boolean;
  /**
   * The position of the last message that was passed to the handlers, or that
   * of the room when it was joined. Empty if the room has no history. A program
   * can keep it and pass it to joinRoom later.
   */
  readonly position: string;

  /** Reads a part of the room's history; rejects with ErrUnhandled if it has none. */
  history(query?: HistoryQuery, options?: AskOptions): Promise<HistoryPage>;

  /** Reads members of the room; rejects with ErrUnhandled if the server shows none. */
  presence(query?: PresenceQuery, options?: AskOptions): Promise<PresencePage>;

  /** Emits to the other members; returns false if it is not accepted. */
  emit<K extends Name<E>>(event: K, ...[body, options]: BodyParameter<E[K]>): boolean;

  /**
   * Emits to the other members, and resolves to the position of the message in
   * the history of the room when the server has it; rejects with ErrUnhandled
   * if the room has none. While the connection is lost, and while the server is
   * unavailable, it waits and sends the message again, with the same ID, by
   * which the server publishes it once: until the timeout, and for at most 90
   * seconds after the first copy. Only an error with the code "unconfirmed"
   * means that the message may have been published; every other one means that
   * nothing was. With "not_published" the call has ended before a copy was sent.
   * Both have a cause. Errors of the call itself, such as "bad_options", and
   * refusals of the server are thrown as they are. The event may be empty, as
   * that of emit. Messages of a room are published in the order of the calls,
   * but for those in flight with one for which the server was unavailable.
   */
  publish<K extends Name<E>>(event: K, body?: BodyOf<E[K]>, options?: PublishOptions): Promise<string>;

  /** Leaves the room; rejects if the server refuses. */
  leave(options?: AskOptions): Promise<void>;
}

/** A part of a room's history. */
export interface HistoryPage {
  /** In the order of the room, the oldest first. */
  entries: HistoryEntry[];
  /** Set if only the limit has kept further messages out of the page. */
  more: boolean;
  /** Not set if the history does not reach back to a position of the query. */
  found: boolean;
}

/** A message in a room's history. */
export interface HistoryEntry {
  event: string;
  /** Text, or a Uint8Array if the message came in a binary frame. */
  body: Data;
  /** The ID of the sender's user, if it had one. */
  user?: string;
  /** When the server has kept it, in milliseconds since 1970 UTC. */
  time: number;
  position: string;
}

/** A user in a room, or a connection without a user. */
export interface PresenceMember {
  /** The ID of the user. */
  user?: string;
  /** The ID of the connection, if it has no user. */
  conn?: string;
  /** How many connections of the user are in the room; none if it has just left. */
  conns?: number;
  /** Describes the user, as the server has it from the token. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- any JSON
  info?: any;
}

/** A part of the members of a room. */
export interface PresencePage {
  /** In an order that does not change; empty where the server shows numbers only. */
  members: PresenceMember[];
  /** The number of all members, a user with several connections once. */
  count: number;
  /** Selects the next page; not set after the last one. */
  next?: string;
}

/**
 * The body of the event _OnPresence: members that have joined or left since the
 * last one. Where the server shows numbers only, it has no members.
 */
export interface PresenceChange {
  /** Some may be known already. */
  joined?: PresenceMember[];
  /** Some may be unknown. */
  left?: PresenceMember[];
  /** The number of members, a user with several connections once. */
  count: number;
  /**
   * Set if the room was restored after a reconnect, so that changes may be
   * missing; the rest is empty then, and count is 0 although there are members.
   * Read them again.
   */
  stale?: boolean;
}

/** A handler's result: nothing, an error, or the answer. */
export type Result<A = unknown> = void | undefined | null | Error | Reply<A>;

/**
 * Handles one event. The handlers of a connection run one after the other; a
 * returned promise delays the next one. An error, returned or thrown, refuses
 * the request. A reply answers an ask.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export type Handler<E = any, B = any, A = any> = (
  nsConn: NSConn<E>,
  message: Message<B>,
) => Result<A> | Promise<Result<A>>;

/** The events of a connection by name, for Conn.on. */
export interface ConnEvents {
  /** A change of state, or a failed attempt to connect. */
  state: Transition;
  /** A message that was dropped instead of sent. */
  drop: Drop;
  /** An attempt to renew the identity of the open connection. */
  renewal: Renewal;
  /** A namespace that either side has connected. */
  namespace: NSConn;
  /**
   * An exception of a handler whose message needs no answer. Without a
   * listener it becomes an unhandled rejection.
   */
  error: Error;
}
