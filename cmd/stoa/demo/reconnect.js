// Keeps a connection: opens one, waits until it is lost, and tries again after
// an exponential back-off.

import { dial } from './stoa-protocol.js';

const FIRST_DELAY = 1_000;
const LONGEST_DELAY = 20_000;
// A connection that was lost sooner counts as a failed attempt, or a server that
// accepts and closes at once would be dialled without a pause.
const STABLE_AFTER = 10_000;

// The jitter is over the whole delay and comes after the cap: when a node stops,
// its clients come back spread over that time, however long it was away.
export function backOff(attempt) {
  return Math.random() * Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** attempt);
}

export class Reconnector {
  // The number of the run that may go on; a run that finds another one ends.
  #run = 0;
  #conn;
  #skipPause = () => {};

  // onState is called with "connecting", "connected", or "waiting" and the
  // seconds until the next attempt. onConnected is called with an NSConn; when it
  // fails, the connection is given up.
  constructor({ url, namespace, onState, onConnected }) {
    this.url = url;
    this.namespace = namespace;
    this.onState = onState;
    this.onConnected = onConnected;
  }

  async start() {
    this.stop();
    const run = this.#run;
    for (let attempt = 0; ; attempt++) {
      this.onState('connecting');
      const lasted = await this.#connectOnce(run);
      if (run !== this.#run) return;
      if (lasted > STABLE_AFTER) attempt = 0;
      await this.#pause(backOff(attempt));
      if (run !== this.#run) return;
    }
  }

  // stop closes the connection and does not open another one until start.
  stop() {
    this.#run++;
    this.#conn?.close();
    this.#skipPause();
  }

  retryNow() {
    this.#skipPause();
  }

  // connectOnce returns how long the connection has lasted, in milliseconds.
  async #connectOnce(run) {
    let conn;
    let begin = Infinity;
    try {
      conn = await dial(this.url);
      begin = performance.now();
      if (run !== this.#run) return 0;
      this.#conn = conn;
      await this.onConnected(await conn.connect(this.namespace));
      this.onState('connected');
      await conn.closed;
    } catch (error) {
      console.info(`Stoa: ${error.message}`);
    } finally {
      conn?.close();
    }
    return performance.now() - begin;
  }

  async #pause(delay) {
    const end = performance.now() + delay;
    let skipped = false;
    const skip = new Promise((resolve) => {
      this.#skipPause = () => {
        skipped = true;
        resolve();
      };
    });
    while (!skipped && performance.now() < end) {
      const left = end - performance.now();
      this.onState('waiting', Math.ceil(left / 1000));
      await Promise.race([skip, new Promise((resolve) => setTimeout(resolve, Math.min(1000, left)))]);
    }
    this.#skipPause = () => {};
  }
}
