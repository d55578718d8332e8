import { Conn } from "./conn.js";
import { StoaError } from "./errors.js";
import type { AnyEvents, EventMap, Handlers } from "./events.js";
import { resolveHandlers } from "./handlers.js";
import type { Options } from "./options.js";

/**
 * Connects to a server. Resolves as soon as the server has accepted the
 * connection. Rejects if it refuses, or if the attempt fails and reconnecting
 * is off or at its end; else it goes on trying until options.signal says no.
 */
export function dial<E extends EventMap<E> = AnyEvents>(
  url: string,
  handlers: Handlers<NoInfer<E>>,
  options: Options = {},
): Promise<Conn<E>> {
  return new Promise((resolve, reject) => {
    const conn = new Conn<E>(url, resolveHandlers(handlers), options);
    conn.on("state", ({ state, error, code, reason }) => {
      if (state === "connected") resolve(conn);
      if (state === "closed") reject(error ?? new StoaError(reason || `closed with code ${code}`, "closed"));
    });
    conn._start();
  });
}
