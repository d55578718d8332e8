import type { BodyParameter, Name } from "./events.js";
import type { NSConn } from "./nsconn.js";
import type { AskOptions } from "./options.js";

/** A room that is joined. It lasts through reconnects, until it is left. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export class Room<E = any> {
  /** @internal */
  constructor(
    readonly nsConn: NSConn<E>,
    readonly name: string,
  ) {}

  /** Emits to the others in the room; false if the message was not taken. */
  emit<K extends Name<E>>(event: K, ...[body]: BodyParameter<E[K]>): boolean {
    return this.nsConn.conn.write(this.nsConn._about(event, { Room: this.name, Body: body }));
  }

  /** Leaves the room; rejects if the server refuses. */
  leave(options?: AskOptions): Promise<void> {
    return this.nsConn._session.leave(this, options);
  }
}
