import type { Message } from "./message.js";

/**
 * The state of a connection. "connecting": dial has not succeeded yet.
 * "connected": the connection is open in all its namespaces and rooms.
 * "reconnecting": the connection was lost, the client waits or dials.
 * "closed": closed for good.
 */
export type State = "connecting" | "connected" | "reconnecting" | "closed";

/** A change of state, or a failed attempt. */
export interface Transition {
  state: State;
  previous: State;
  /** The number of failed attempts and losses in a row. */
  attempt: number;
  /** Milliseconds until the next attempt; undefined if there is none. */
  delay?: number;
  /** The close code of the connection that has closed. */
  code?: number;
  /** The text next to the close code. */
  reason?: string;
  /**
   * The cause of the close. Undefined after `conn.close()`, and while the client
   * reconnects because the server has closed the connection.
   */
  error?: Error;
  /** Set if the server has refused this client; another attempt is useless. */
  final?: boolean;
}

/** An attempt to renew the identity of an open connection. */
export interface Renewal {
  /** Why it has failed; undefined if the server has taken the new token. */
  error?: Error;
  /** Milliseconds until the next attempt; undefined if there is none. */
  delay?: number;
}

/** A message that was dropped. */
export interface Drop {
  message: Message;
  error: Error;
}
