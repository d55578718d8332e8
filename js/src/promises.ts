import type { AskOptions, Clock } from "./options.js";
import { ErrTimeout } from "./errors.js";

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as PromiseLike<unknown> | undefined)?.then === "function";

/**
 * Calls run, then next with its result or failed with its exception. Without
 * a promise everything stays synchronous: handlers that return no promise run
 * while the message is received.
 */
export function tryCall<T, R>(
  run: () => T | PromiseLike<T>,
  next: (value: T) => R,
  failed: (thrown: unknown) => R,
): R | PromiseLike<R> {
  let value;
  try {
    value = run();
  } catch (thrown) {
    return failed(thrown);
  }
  return isPromise(value) ? Promise.resolve(value).then(next, failed) : next(value);
}

/** Waits for all promises, then rejects with the first rejection if any. */
export async function all(promises: Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(promises);
  await Promise.all(promises);
}

/** Calls next now, or after a promise has resolved. */
export function thenMaybe<R>(value: unknown, next: () => R): R | PromiseLike<R> {
  return isPromise(value) ? value.then(next) : next();
}

const aborts = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls run once the signal aborts, until the result is called. All calls for a
 * signal share one listener, because Node.js warns of more than ten.
 */
export function onAbort(signal: AbortSignal | undefined, run: () => void): () => void {
  if (!signal) return () => undefined;
  const known = aborts.get(signal);
  const all = known ?? new Set();
  if (!known) {
    aborts.set(signal, all);
    signal.addEventListener("abort", () => [...all].forEach((call) => call()));
  }
  all.add(run);
  return () => all.delete(run);
}

// Longer timers overflow and fire at once.
const longest = 2 ** 31 - 1;
// How long a late deadline waits for messages, in milliseconds.
const longestGrace = 1000;

/**
 * Calls run after a time, in milliseconds, unless the result is called before.
 * A process that was suspended runs its timers before it receives the messages
 * that have arrived in the meantime. So run waits for one more turn, and after
 * a late timer for as long as that was late, up to a second.
 */
export function after(clock: Clock, milliseconds: number, run: () => void): () => void {
  const wait = Math.min(milliseconds, longest);
  const due = clock.now() + wait;
  let timer = clock.setTimeout(() => {
    timer = clock.setTimeout(run, Math.min(clock.now() - due, longestGrace));
  }, wait);
  return () => clock.clearTimeout(timer);
}

/**
 * Makes a promise with a time limit and a signal. Begin starts the work and
 * returns a function that cancels it; the limit and the signal call that.
 */
export function withTimeout<T>(
  clock: Clock,
  { timeout, signal }: AskOptions,
  begin: (resolve: (value: T | PromiseLike<T>) => void, reject: (reason: unknown) => void) => () => void,
): Promise<T> {
  return new Promise((resolve, reject) => {
    // React Native has no throwIfAborted.
    if (signal?.aborted) throw signal.reason;
    const settled =
      <V>(settle: (value: V) => void) =>
      (value: V) => {
        cancelTimer?.();
        forget();
        settle(value);
      };
    const stop = (reason: unknown) => {
      settled(reject)(reason);
      cancel();
    };
    const cancelTimer = timeout ? after(clock, timeout, () => stop(ErrTimeout)) : undefined;
    const forget = onAbort(signal, () => stop(signal?.reason));
    const cancel = begin(settled(resolve), settled(reject));
  });
}
