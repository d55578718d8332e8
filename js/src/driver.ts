import type { Mailbox } from "./mailbox.js";
import type { Data, Message } from "./message.js";
import type { NSConn } from "./nsconn.js";
import type { Clock, ConnEvents } from "./options.js";

/** The world around a session: the connection and the program. */
export interface Driver {
  readonly _clock: Clock;
  /** Milliseconds; 0 is without limit. */
  readonly _askTimeout: number;
  /** Puts a payload on the way at once. */
  _send(payload: Data): void;
  /**
   * Calls run when messages of the program may be sent: now, or after the
   * connection has come back. Calls failed if that never happens. The result
   * withdraws a message that waits.
   */
  _dispatch(m: Message, run: () => void, failed: (error: Error) => void): () => void;
  /** Runs jobs one after the other. */
  readonly _mailbox: Mailbox;
  /** The server has accepted the connection. */
  _acknowledged(id: string): void;
  /** The server has refused the connection. */
  _refused(text: string): void;
  /** Makes a namespace with its handlers; undefined if it has none. */
  _place(namespace: string): NSConn | undefined;
  /** Takes what a handler has thrown where nobody waits, and namespaces that are connected. */
  _tell<K extends "error" | "namespace">(event: K, value: ConnEvents[K]): void;
}
