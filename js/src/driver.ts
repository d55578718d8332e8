import type { Data, Message } from "./message.js";
import type { ConnEvents } from "./model.js";
import type { NSConn } from "./nsconn.js";
import type { Clock } from "./options.js";
import type { Queue } from "./queue.js";

/** A session's interface to the connection and the application. */
export interface Driver {
  readonly _clock: Clock;
  /** Milliseconds; 0 is without limit. */
  readonly _askTimeout: number;
  /** Reports whether the server takes messages of this length. */
  _fits(payload: Data): boolean;
  /** Writes a payload to the connection at once. */
  _send(payload: Data): void;
  /**
   * Calls run when the application's messages may be sent: now, or after the
   * client has reconnected. Calls failed if that never happens. The result
   * removes a message that is still queued.
   */
  _dispatch(m: Message, run: () => void, failed: (error: Error) => void): () => void;
  /** Reports whether the application's messages may be sent now. */
  _isReady(): boolean;
  /** Returns a random pause in milliseconds, after so many failures in a row. */
  _pause(failures: number): number;
  /** The most that messages may take while they wait for handlers. */
  readonly _receiveLimit: number;
  /** The most that the server may bring the client into. */
  readonly _maxNamespaces: number;
  readonly _maxRooms: number;
  /** Closes the connection, and dials again if that helps. */
  _failed(error: Error): void;
  /** Runs the jobs that call handlers. */
  readonly _queue: Queue;
  /** The server has accepted the connection. */
  _accepted(id: string): void;
  /** The server has refused the connection. */
  _refused(text: string): void;
  /** The server ends the identity of the connection in so many milliseconds. */
  _expiring(milliseconds: number): void;
  /** Makes a namespace with its handlers; undefined if it is not declared. */
  _newNamespace(namespace: string): NSConn | undefined;
  /** Calls the application's listeners. */
  _emitEvent<K extends "error" | "namespace">(event: K, value: ConnEvents[K]): void;
}
