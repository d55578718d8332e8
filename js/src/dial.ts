import { Conn } from "./conn.js";
import { closeCause } from "./errors.js";
import type { AnyEvents, EventMap } from "./events.js";
import { resolveHandlers, type Handlers } from "./handlers.js";
import type * as model from "./model.js";
import type { Options } from "./options.js";

/**
 * Connects to a server and resolves when the server has accepted the
 * connection. It rejects if the server refuses, if the last attempt of
 * options.reconnect fails, or if options.signal aborts; until then it retries.
 */
export function dial<E extends EventMap<E> = AnyEvents>(
  url: string,
  handlers: Handlers<NoInfer<E>>,
  options: Options = {},
): Promise<model.Conn<E>> {
  return new Promise((resolve, reject) => {
    const conn = new Conn<E>(url, resolveHandlers(handlers), options);
    conn.on("state", (transition) => {
      if (transition.state === "connected") resolve(conn);
      if (transition.state === "closed") reject(closeCause(transition));
    });
    conn._start();
  });
}
