import type { Clock, Options, ReconnectOptions } from "./options.js";

/** Reconnect options with every default filled in; undefined if it is off. */
export function reconnectPolicy(option: Options["reconnect"] = true): Required<ReconnectOptions> | undefined {
  if (!option) return undefined;
  const given: ReconnectOptions =
    typeof option === "number" ? { base: option } : option === true ? {} : option;
  return {
    base: given.base || 200,
    factor: given.factor || 2,
    cap: given.cap || 20_000,
    attempts: given.attempts || 0,
  };
}

// The close codes that say "do not come back"; the table is wire/codes.go.
const final = [1000, 1002, 1003, 1007, 1008, 1009, 4001];

/** Reports whether a client should connect again after a close code. */
export function mayReturn(code: number): boolean {
  return !final.includes(code);
}

/**
 * The delay in milliseconds before an attempt, where attempt counts from 1.
 * Full jitter is applied after the cap, so that a long outage synchronises
 * nobody. What a server suggests in its close reason replaces the computed
 * delay, up to twice the cap, and is spread by half of itself.
 */
export function retryDelay(policy: Required<ReconnectOptions>, clock: Clock, attempt: number, reason: string): number {
  const suggested = /; ?retry-after=(\d+)$/.exec(reason)?.[1];
  if (suggested) return Math.min(+suggested, 2 * policy.cap) * (1 + clock.random() / 2);
  return clock.random() * Math.min(policy.cap, policy.base * policy.factor ** (attempt - 1));
}
