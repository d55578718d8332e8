import type { Data } from "./message.js";

/** Estimates what a waiting message takes. Its object has a size, too. */
export function sizeOf(payload: Data): number {
  return payload.length + 256;
}

/**
 * Runs jobs one after the other. A job that returns a promise delays the jobs
 * after it; without one, jobs run synchronously.
 */
export class Queue {
  private _jobs: [job: () => unknown, size: number][] = [];
  private _busy = false;
  /** The sizes of the jobs that have not started, together. */
  _size = 0;

  _push(job: () => unknown, size = 0): void {
    this._jobs.push([job, size]);
    this._size += size;
    if (!this._busy) void this._run();
  }

  /** Drops the jobs that have not started. */
  _clear(): void {
    this._jobs = [];
    this._size = 0;
  }

  private async _run(): Promise<void> {
    this._busy = true;
    for (let next; (next = this._jobs.shift()); ) {
      this._size -= next[1];
      try {
        const result = next[0]();
        // Awaiting a plain value would let the next frame in between.
        if (result instanceof Promise) await result;
      } catch (thrown) {
        // For example a reply that JSON cannot represent.
        void Promise.reject(thrown);
      }
    }
    this._busy = false;
  }
}
