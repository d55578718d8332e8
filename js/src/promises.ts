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

// Longer timers overflow and fire at once.
const longest = 2 ** 31 - 1;

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
    signal?.throwIfAborted();
    const settled =
      <V>(settle: (value: V) => void) =>
      (value: V) => {
        clock.clearTimeout(timer);
        signal?.removeEventListener("abort", aborted);
        settle(value);
      };
    const stop = (reason: unknown) => {
      settled(reject)(reason);
      cancel();
    };
    const aborted = () => stop(signal?.reason);
    const timer = timeout ? clock.setTimeout(() => stop(ErrTimeout), Math.min(timeout, longest)) : undefined;
    signal?.addEventListener("abort", aborted);
    const cancel = begin(settled(resolve), settled(reject));
  });
}
