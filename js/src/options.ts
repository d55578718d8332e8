import type { NSConn } from "./nsconn.js";
import type { Message } from "./message.js";

/** How long an ask may take, and what ends it earlier. */
export interface AskOptions {
  /** In milliseconds; 0 is without limit. The default is Options.askTimeout. */
  timeout?: number;
  /** Ends the ask with the signal's reason. */
  signal?: AbortSignal;
}

/** When a lost connection is dialled again. */
export interface ReconnectOptions {
  /** The greatest delay before the first attempt in milliseconds: 200. */
  base?: number;
  /** By how much the delay grows from attempt to attempt: 2. */
  factor?: number;
  /** The greatest delay of all in milliseconds: 20,000. */
  cap?: number;
  /** After so many failed attempts in a row the connection is closed; 0 is without limit. */
  attempts?: number;
}

/** What happens to emits and asks while the connection is away. */
export interface BufferOptions {
  /**
   * "keep" sends them in order once the connection is back in its namespaces
   * and rooms. "drop" drops emits without a word but the event "drop"; asks
   * fail. "fail" fails both.
   */
  policy?: "keep" | "drop" | "fail";
  /** How many are kept: 256. */
  messages?: number;
  /** How long they may be together, in bytes (UTF-16 units of text): 1 MiB. */
  bytes?: number;
}

/** What is sent along with the request that opens the connection. */
export interface Credentials {
  /** Real headers in Node.js; browsers send them as URL parameters. */
  headers?: Record<string, string>;
  /** Parameters of the URL. */
  query?: Record<string, string>;
}

/** The part of a WebSocket that is used. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  // Handlers of any shape: those of browsers, of ws and of tests differ in their events.
  /* eslint-disable @typescript-eslint/no-explicit-any */
  onopen: ((event: any) => any) | null;
  onmessage: ((event: any) => any) | null;
  onclose: ((event: any) => any) | null;
  onerror: ((event: any) => any) | null;
  send(data: any): void;
  /* eslint-enable @typescript-eslint/no-explicit-any */
  close(code?: number, reason?: string): void;
}

/** Time and chance, for tests. */
export interface Clock {
  setTimeout(run: () => void, milliseconds: number): unknown;
  clearTimeout(timer: unknown): void;
  /** At least 0, less than 1. */
  random(): number;
}

/** What dial can be told. What is left out has its default. */
export interface Options {
  /** false turns reconnecting off; a number is the base delay in milliseconds. */
  reconnect?: boolean | number | ReconnectOptions;
  buffer?: BufferOptions;
  /** How long it may take until the server has accepted the connection: 10,000 ms. */
  dialTimeout?: number;
  /** How long asks, connects, joins and leaves may take: 30,000 ms. */
  askTimeout?: number;
  /** Headers of every dial; see Credentials. */
  headers?: Record<string, string>;
  /** Called before every dial; an error counts as a failed attempt. */
  authenticate?: () => Credentials | Promise<Credentials>;
  /** The subprotocols to ask for. Neither a node nor neffos selects one. */
  protocols?: string | string[];
  /** The constructor to use; headers are then URL parameters. */
  WebSocket?: new (url: string, protocols?: string | string[]) => WebSocketLike;
  /** Ends dialling; later it closes the connection. */
  signal?: AbortSignal;
  /** Hears every transition, also those before dial has resolved. */
  onState?: (transition: Transition) => void;
  clock?: Clock;
}

/**
 * "connecting": dial has not succeeded yet. "reconnecting": the connection was
 * lost, it waits or dials. "closed": for good.
 */
export type State = "connecting" | "connected" | "reconnecting" | "closed";

/** A change of state, or a failed attempt. */
export interface Transition {
  state: State;
  previous: State;
  /** Failed attempts and losses in a row. */
  attempt: number;
  /** Milliseconds until the next attempt, if there is one. */
  delay?: number;
  /** The close code of the connection that has ended. */
  code?: number;
  /** The text that came with the close code. */
  reason?: string;
  /** Why it ended, where that was no close of the server. */
  error?: Error;
  /** The server has refused this client: another attempt will fare no better. */
  final?: boolean;
}

/** A message that is not sent after all. */
export interface Drop {
  message: Message;
  error: Error;
}

/** What Conn.on can be asked to tell. */
export interface ConnEvents {
  state: Transition;
  drop: Drop;
  /** A namespace was connected, by either side. */
  namespace: NSConn;
  /** What handlers have thrown where nobody waits for an answer. Without a listener it is an unhandled rejection. */
  error: Error;
}
