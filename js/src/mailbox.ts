/**
 * Runs jobs one after the other. A job that returns a promise holds up those
 * behind it; else they run while they are added.
 */
export class Mailbox {
  private _jobs: (() => unknown)[] = [];
  private _busy = false;

  push(job: () => unknown): void {
    this._jobs.push(job);
    if (!this._busy) void this._run();
  }

  /** Forgets the jobs that have not begun. */
  clear(): void {
    this._jobs = [];
  }

  private async _run(): Promise<void> {
    this._busy = true;
    for (let job; (job = this._jobs.shift()); ) {
      try {
        const result = job();
        // Waiting for what is no promise would let the next frame in between.
        if (result instanceof Promise) await result;
      } catch (thrown) {
        // Such as a reply that is no JSON; the next job runs all the same.
        void Promise.reject(thrown);
      }
    }
    this._busy = false;
  }
}
