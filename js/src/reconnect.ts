import type { Clock, Options } from "./options.js";

// The close codes that say "do not come back"; the table is wire/codes.go.
const final = [1000, 1002, 1003, 1007, 1008, 1009, 4001];

/** Reports whether a client should connect again after a close code. */
export function mayReturn(code: number): boolean {
  return !final.includes(code);
}

/**
 * The delay in milliseconds before an attempt, which counts from 1; undefined
 * if there shall be none. Exponent outlasts connections that end soon. Full
 * jitter is applied after the cap, so that a long outage synchronises nobody.
 * What a server suggests in its close reason replaces the computed delay, up
 * to twice the cap, and is spread by half of itself.
 */
export function retryDelay(
  option: Options["reconnect"] = true,
  clock: Clock,
  attempt: number,
  exponent: number,
  reason: string,
): number | undefined {
  const { base, factor, cap, attempts } = {
    base: 200,
    factor: 2,
    cap: 20_000,
    attempts: 0,
    ...(typeof option === "number" ? { base: option } : (option as object)),
  };
  if (!option || (attempts && attempt > attempts)) return undefined;
  const suggested = /; ?retry-after=(\d+)$/.exec(reason)?.[1];
  if (suggested) return Math.min(+suggested, 2 * cap) * (1 + clock.random() / 2);
  return clock.random() * Math.min(cap, base * factor ** exponent);
}
