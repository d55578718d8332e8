/**
 * Runs jobs one after the other. A job that returns a promise delays the jobs
 * after it; without one, jobs run synchronously.
 */
export class Queue {
  private _jobs: (() => unknown)[] = [];
  private _busy = false;

  _push(job: () => unknown): void {
    this._jobs.push(job);
    if (!this._busy) void this._run();
  }

  /** Drops the jobs that have not started. */
  _clear(): void {
    this._jobs = [];
  }

  private async _run(): Promise<void> {
    this._busy = true;
    for (let job; (job = this._jobs.shift()); ) {
      try {
        const result = job();
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
