import type { AskOptions, Clock } from "./options.js";
import { ErrTimeout } from "./errors.js";

const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof (value as PromiseLike<unknown> | undefined)?.then === "function";

/**
 * Calls run, then next with its result or failed with what it threw. What is
 * not asynchronous stays so: handlers that return no promise run while the
 * message is received.
 */
export function attempt<T, R>(
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

/** Waits for all promises, then rejects with what the first of them was rejected with. */
export async function all(promises: Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(promises);
  await Promise.all(promises);
}

/** Calls next now, or when a promise has come true. */
export function after<R>(value: unknown, next: () => R): R | PromiseLike<R> {
  return isPromise(value) ? value.then(next) : next();
}

// Longer timers overflow and fire at once.
const longest = 2 ** 31 - 1;

/**
 * A promise with a limit of time and a signal. Begin starts what is waited for
 * and returns what to do if the limit or the signal comes first.
 */
export function bounded<T>(
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
