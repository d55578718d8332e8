import type { BodyParameter, Name } from "./events.js";
import type * as model from "./model.js";
import type { NSConn } from "./nsconn.js";
import type { AskOptions } from "./options.js";

/** A joined room. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- programs without an event map
export class Room<E = any> implements model.Room<E> {
  constructor(
    readonly nsConn: NSConn<E>,
    readonly name: string,
  ) {}

  emit<K extends Name<E>>(event: K, ...[body]: BodyParameter<E[K]>): boolean {
    return this.nsConn.conn.write(this.nsConn._message(event, { Room: this.name, Body: body }));
  }

  leave(options?: AskOptions): Promise<void> {
    return this.nsConn._session._leave(this.nsConn, this as model.Room<E>, options);
  }
}
