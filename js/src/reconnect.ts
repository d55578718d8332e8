import type { Clock, Options, ReconnectOptions } from "./options.js";
import type { Close } from "./transport.js";

// The close codes after which a client does not reconnect; see wire/codes.go.
const final = [1000, 1002, 1003, 1007, 1008, 1009, 4001, 4401, 4403, 4409];

/**
 * Returns the delay in milliseconds before an attempt, undefined if another
 * attempt is useless, or Infinity if too many have failed in a row. The
 * exponent does not start over after a short connection. Full jitter applies
 * after the cap, so that a long outage does not synchronize the clients. A
 * delay that the server suggests in its close reason replaces the computed one,
 * from the base up to twice the cap, with a jitter of half its length.
 */
export function retryDelay(
  option: Options["reconnect"] = true,
  clock: Clock,
  failed: number,
  exponent: number,
  close: Close,
): number | undefined {
  const { base = 200, cap = 20_000, attempts } = settings(option);
  if (!option || close.final || final.includes(close.code)) return undefined;
  if (attempts && failed >= attempts) return Infinity;
  const suggested = Number(/; ?retry-after=(\d{1,9})$/.exec(close.reason)?.[1]);
  if (suggested) return Math.min(Math.max(suggested, base), 2 * cap) * (1 + clock.random() / 2);
  return clock.random() * longestDelay(option, exponent);
}

/**
 * Returns the longest delay that is not suggested. A connection that lasts as
 * long starts the exponent over.
 */
export function longestDelay(option: Options["reconnect"] = true, exponent: number): number {
  const { base = 200, factor = 2, cap = 20_000 } = settings(option);
  return Math.min(cap, base * factor ** exponent);
}

// The properties of booleans are undefined, so that the defaults apply.
const settings = (option: Options["reconnect"]) => (typeof option === "number" ? { base: option } : option) as ReconnectOptions;
