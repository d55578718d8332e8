import { describe } from "node:test";

import { peers, startPeer } from "../../../test/compat/js/support/program.js";

/** The longest wait of a test, in milliseconds. */
export const patience = 20_000;

export const limit = { timeout: 40_000 };

/** Options for reconnecting with short delays. */
export const quick = { base: 10, cap: 50 };

/**
 * Defines the tests once for a node and once for a neffos server. Both programs
 * follow the requests of their clients (test/peer/doc.go).
 * @param {string} title
 * @param {(peer: {name: string, start: (port?: number) => Promise<object>}) => void} define
 */
export function eachPeer(title, define) {
  for (const [name, binary] of Object.entries(peers)) {
    describe(`${title} (server: ${name})`, () => {
      define({ name, start: (port) => startPeer(binary, port) });
    });
  }
}
