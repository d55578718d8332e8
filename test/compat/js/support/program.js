// Starts the real program, reads the address from its output, and stops it with a
// signal.
import { spawn } from "node:child_process";
import { describe } from "node:test";
import { fileURLToPath } from "node:url";

const stoa =
  process.env.STOA_PROGRAM ?? fileURLToPath(new URL("../../../../bin/stoa", import.meta.url));
const examples = new URL("../../../../bin/examples/", import.meta.url);
const startDeadline = 20_000;

/** The limit for a test: neffos.js never settles some promises. */
export const limit = { timeout: 30_000 };

const addressPattern = /(?:http|ws):\/\/(127\.0\.0\.1:(\d+))/;

/**
 * Program is a running server: `stoa serve`, or an example.
 */
export class Program {
  #child;
  #output = "";
  #exited;

  /**
   * @param {string} binary
   * @param {string[]} args
   */
  constructor(binary, args) {
    this.#child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#exited = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve({ error }));
      this.#child.once("close", (code, signal) => resolve({ code, signal }));
    });
    // A failing test may not reach its clean-up.
    const kill = () => this.#child.kill("SIGKILL");
    process.once("exit", kill);
    this.#child.once("close", () => process.off("exit", kill));
  }

  /** Waits until the program has printed its address. */
  async started() {
    const address = new Promise((resolve) => {
      for (const stream of [this.#child.stdout, this.#child.stderr]) {
        stream.setEncoding("utf8");
        stream.on("data", (text) => {
          this.#output += text;
          const match = addressPattern.exec(this.#output);
          if (match !== null) resolve(match);
        });
      }
    });
    const ended = this.#exited.then((end) => {
      throw new Error(`the program ended (${JSON.stringify(end)}): ${this.#output}`);
    });
    const [, host, port] = await within(
      startDeadline,
      Promise.race([address, ended]),
      () => `the program printed no address: ${this.#output}`,
    );
    this.host = host;
    this.port = Number(port);
    this.page = `http://${host}`;
    this.url = `ws://${host}/ws`;
    return this;
  }

  /** The output of the program so far. */
  get output() {
    return this.#output;
  }

  /** Sends SIGTERM and returns the exit code. */
  async stop() {
    this.#child.kill("SIGTERM");
    const { code } = await within(
      startDeadline,
      this.#exited,
      () => `the program did not end after SIGTERM: ${this.#output}`,
    );
    return code;
  }

  /** Kills the program, so that it sends no close frames. */
  async kill() {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }
}

/**
 * Starts the program on a free port, or on the given one.
 * @param {{port?: number, args?: string[]}} options
 * @returns {Promise<Program>}
 */
export function startProgram({ port = 0, args = [] } = {}) {
  return new Program(stoa, ["serve", "--listen", `127.0.0.1:${port}`, ...args]).started();
}

/**
 * Starts the example of this name on a free port.
 * @param {string} name
 * @param {string[]} args
 * @returns {Promise<Program>}
 */
export function startExample(name, args = []) {
  const binary = fileURLToPath(new URL(name, examples));
  return new Program(binary, ["-listen", "127.0.0.1:0", ...args]).started();
}

/**
 * The servers that obey their clients (test/peer/doc.go): a node and a neffos server.
 */
export const peers = { stoa: "test-peer", neffos: "test-neffos" };

/**
 * Starts one of them on a free port, or on the given one.
 * @param {string} name a value of peers
 * @param {number} port
 * @returns {Promise<Program>}
 */
export function startPeer(name, port = 0) {
  const binary = fileURLToPath(new URL(`../../../../bin/${name}`, import.meta.url));
  return new Program(binary, ["-listen", `127.0.0.1:${port}`]).started();
}

/**
 * Limits a wait. After the limit it fails with the sentence.
 * @template T
 * @param {number} milliseconds
 * @param {Promise<T>} promise
 * @param {() => string} sentence
 * @returns {Promise<T>}
 */
export function within(milliseconds, promise, sentence) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(sentence())), milliseconds);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/**
 * Defines the tests once for each transport of the program, with several event loops
 * on every machine.
 * @param {string} title
 * @param {(args: string[]) => void} define is given arguments for startProgram
 */
export function eachTransport(title, define) {
  for (const transport of ["auto", "blocking"]) {
    describe(`${title} (transport ${transport})`, () => {
      define(["--transport", transport, "--loops", "3"]);
    });
  }
}
