import type { Clock, Options, ReconnectOptions } from "./options.js";
import type { Close } from "./transport.js";

// The close codes after which a client does not reconnect; see wire/codes.go.
const final = [1000, 1002, 1003, 1007, 1008, 1009, 4001, 4401, 4403];

/**
 * Returns the delay in milliseconds before an attempt, or undefined if there
 * is no further attempt. Attempts count from 1. The exponent does not start
 * over after a short connection. Full jitter applies after the cap, so that a
 * long outage does not synchronize the clients. A delay that the server
 * suggests in its close reason replaces the computed one, from the base up to
 * twice the cap, with a jitter of half its length.
 */
export function retryDelay(
  option: Options["reconnect"] = true,
  clock: Clock,
  attempt: number,
  exponent: number,
  close: Close,
): number | undefined {
  // The properties of true are undefined, so that the defaults apply.
  const { base = 200, factor = 2, cap = 20_000, attempts = 0 } = (
    typeof option === "number" ? { base: option } : option
  ) as ReconnectOptions;
  if (!option || close.final || final.includes(close.code) || (attempts && attempt > attempts)) return undefined;
  const suggested = Number(/; ?retry-after=(\d{1,9})$/.exec(close.reason)?.[1]);
  if (suggested) return Math.min(Math.max(suggested, base), 2 * cap) * (1 + clock.random() / 2);
  return clock.random() * Math.min(cap, base * factor ** exponent);
}
