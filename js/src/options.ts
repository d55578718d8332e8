import type { Transition } from "./state.js";

/** The limit of an ask, and a way to abort it. */
export interface AskOptions {
  /**
   * In milliseconds; 0 is without limit. The default is Options.askTimeout. A
   * negative one ends the call at once, when it may have been sent already.
   */
  timeout?: number;
  /** Aborts the ask, which then rejects with the signal's reason. */
  signal?: AbortSignal;
}

/** The options of emit. */
export interface EmitOptions {
  /**
   * The event is worth nothing when it is late, such as the position of a
   * cursor or that a user types. It is dropped wherever it would wait, which is
   * not reported: while the connection is lost, while 16 KiB wait for its
   * socket, while the server is congested, and for each member that does not
   * keep up. It is no part of a room's history. A server that does not know
   * volatile events gets an ordinary one.
   */
  volatile?: boolean;
}

/** The options of Room.publish. The limit and the signal end the repetitions. */
export interface PublishOptions extends AskOptions {
  /**
   * The name of the message, by which the server knows its copies: 1 to 64
   * printable ASCII characters without comma and semicolon. A program that
   * publishes a message again after a restart passes the ID of the first time;
   * without a user of the connection it must be hard to guess. By default it is
   * random, which needs the global crypto. Another text rejects with the code
   * "bad_options".
   */
  id?: string;
}

/** The options of NSConn.joinRoom. */
export interface JoinOptions extends AskOptions {
  /**
   * How many of the newest messages of the room's history to receive before
   * new ones, if there is no position or the messages after it are not all
   * available: 0. The server may send fewer. After a reconnect the client asks
   * for the missed messages only.
   */
  history?: number;
  /**
   * The position of the last message that the application has, empty if it has
   * none. A text that is no position rejects with the code "bad_options".
   */
  position?: string;
}

/** Selects messages of a room's history; by default the newest ones. */
export interface HistoryQuery {
  /** The number of messages; the server has a limit of its own. */
  limit?: number;
  /** A position: only messages before it. */
  before?: string;
  /** A position: only messages after it. */
  after?: string;
  /** The oldest of these messages in place of the newest. */
  oldest?: boolean;
}

/** Selects members of a room; by default the first ones. */
export interface PresenceQuery {
  /**
   * The number of members; the server has a limit of its own. With a negative
   * one the page has their number only.
   */
  limit?: number;
  /** The field next of the page before. */
  after?: string;
}

/** The limit of NSConn.events. */
export interface EventsOptions {
  /** The number of unread messages that are kept: 1000. Infinity keeps all. */
  limit?: number;
}

/** The delays and attempts of reconnecting. */
export interface ReconnectOptions {
  /** The longest delay before the first attempt, in milliseconds: 200. */
  base?: number;
  /** The factor by which the longest delay grows with each attempt: 2. */
  factor?: number;
  /** The upper bound of all delays, in milliseconds: 20,000. */
  cap?: number;
  /**
   * The number of failed attempts in a row after which the connection is
   * closed; 0 is without limit.
   */
  attempts?: number;
}

/** The handling of emits and asks while the connection is lost. */
export interface BufferOptions {
  /**
   * "keep" sends them in order after the connection has rejoined its
   * namespaces and rooms. "drop" drops emits and reports each only as the
   * event "drop"; asks fail. "fail" fails both.
   */
  policy?: "keep" | "drop" | "fail";
  /** The number of kept messages: 256. */
  messages?: number;
  /** Their size together, in bytes (UTF-16 units of text): 1 MiB. */
  bytes?: number;
}

/** Headers and parameters of the request that opens the connection. */
export interface Credentials {
  /** Real headers in Node.js; browsers send them as URL parameters. */
  headers?: Record<string, string>;
  /** Parameters of the URL. */
  query?: Record<string, string>;
}

/** The members of a WebSocket that this package uses. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  readonly bufferedAmount?: number;
  // Handlers of any type, because browsers, ws and tests pass different events.
  /* eslint-disable @typescript-eslint/no-explicit-any */
  onopen: ((event: any) => any) | null;
  onmessage: ((event: any) => any) | null;
  onclose: ((event: any) => any) | null;
  onerror: ((event: any) => any) | null;
  send(data: any): void;
  /* eslint-enable @typescript-eslint/no-explicit-any */
  close(code?: number, reason?: string): void;
}

/** Timers, time and random numbers; tests replace them. */
export interface Clock {
  /** Milliseconds since any moment; it never goes back. */
  now(): number;
  setTimeout(run: () => void, milliseconds: number): unknown;
  clearTimeout(timer: unknown): void;
  /** At least 0, less than 1. */
  random(): number;
}

/** The options of dial. An omitted option takes its default. */
export interface Options {
  /** false turns reconnecting off; a number is the base delay in ms. */
  reconnect?: boolean | number | ReconnectOptions;
  buffer?: BufferOptions;
  /** The time until the server must have accepted the connection: 10,000 ms. */
  dialTimeout?: number;
  /** The time limit of asks, connects, joins and leaves: 30,000 ms. */
  askTimeout?: number;
  /**
   * How long the server may send nothing until the connection is lost with
   * ErrIdle: 45,000 ms; 0 is without limit. After two thirds of the time the
   * client asks the server for a sign of life.
   */
  idleTimeout?: number;
  /**
   * The longest message that the server takes, in bytes, with its names:
   * 65,536. Longer ones are not sent. Infinity is without limit.
   */
  messageLimit?: number;
  /**
   * How much the messages may take that wait for a slow handler, in bytes
   * (UTF-16 units of text), each with 256 more: 4 MiB. Beyond it the connection
   * is lost with ErrSlowReader. The client handles the arrived messages, and
   * reconnects. Infinity is without limit.
   */
  receiveQueue?: number;
  /**
   * How many namespaces the client may be in for the server to connect it to
   * one more: 64. Own connects are not limited.
   */
  maxNamespaces?: number;
  /** The same for rooms, over all namespaces: 1024. */
  maxRooms?: number;
  /** Headers of every dial; see Credentials. */
  headers?: Record<string, string>;
  /**
   * Called before every dial. A token is sent as the header Authorization, with
   * the scheme Bearer; see Credentials for others. An error counts as a failed
   * attempt, and closes the connection if its code is "unauthorized".
   *
   * Also called when the server announces that the identity of the open
   * connection is about to end: the token of the header Authorization then
   * replaces the old one, after failures with growing pauses until the end. See
   * the event "renewal". Then the server closes the connection, and the client
   * dials again; without authenticate it stays closed.
   */
  authenticate?: () => string | Credentials | Promise<string | Credentials>;
  /**
   * The offered subprotocols. The server must select one, or browsers fail the
   * connection: see --subprotocol of stoa serve and OnAccept of package node.
   */
  protocols?: string | string[];
  /** A WebSocket constructor. With it, headers become URL parameters. */
  WebSocket?: new (url: string, protocols?: string | string[]) => WebSocketLike;
  /** Aborts dialing; later it closes the connection. */
  signal?: AbortSignal;
  /** Receives every transition, including those before dial has resolved. */
  onState?: (transition: Transition) => void;
  clock?: Clock;
}
