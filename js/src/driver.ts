import type { Data, Message } from "./message.js";
import type { NSConn } from "./nsconn.js";
import type { Clock } from "./options.js";

/** The world around a session: the connection and the program. */
export interface Driver {
  readonly clock: Clock;
  /** Milliseconds; 0 is without limit. */
  readonly askTimeout: number;
  /** There is no protocol: every payload is a native message. */
  readonly nativeOnly: boolean;
  /** Puts a payload on the way at once. */
  send(payload: Data): void;
  /**
   * Calls run when messages of the program may be sent: now, or after the
   * connection has come back. Calls failed if that never happens. The result
   * withdraws a message that waits.
   */
  dispatch(m: Message, run: () => void, failed: (error: Error) => void): () => void;
  /** Runs a job behind those that were given before. */
  later(job: () => unknown): void;
  /** The server has accepted the connection. */
  acknowledged(id: string): void;
  /** The server has refused the connection. */
  refused(text: string): void;
  /** Makes a namespace with its handlers; undefined if it has none. */
  place(namespace: string): NSConn | undefined;
  /** Takes what a handler has thrown where nobody waits. */
  report(error: Error): void;
}
