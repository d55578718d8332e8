// A terminal of a reader, with a real pseudo-terminal, which the program "script" of
// util-linux opens.
import { spawn } from "node:child_process";

import { within } from "../../compat/js/support/program.js";
import { until } from "./cluster.js";
import { find, lines, patterns } from "./page.js";

const interrupt = "\x03"; // Ctrl-C
const quit = "\x1c"; // Ctrl-\
const patience = 20_000;

/**
 * Terminal runs commands in the foreground.
 */
export class Terminal {
  #child;
  #output = "";
  #read = 0; // lines of the output that were expected so far
  #ended;

  /**
   * @param {string} name
   * @param {string} commands
   * @param {object} options of spawn
   */
  constructor(name, commands, options) {
    this.name = name;
    this.#child = spawn("script", ["-qefc", commands, "/dev/null"], options);
    this.#ended = new Promise((resolve) => {
      this.#child.once("error", (error) => resolve(error));
      this.#child.once("close", (code) => resolve(code));
    });
    this.#child.stdout.setEncoding("utf8").on("data", (text) => (this.#output += text));
    this.#child.stdin.on("error", () => {}); // the commands have ended
  }

  /** Waits until the terminal shows these lines, behind those expected before. */
  async shows(expected) {
    const wanted = patterns(expected);
    let ended = false;
    this.#ended.then(() => (ended = true));
    await until(
      () => {
        const last = ended;
        const behind = find(lines(this.#output), wanted, this.#read);
        if (behind >= 0) this.#read = behind;
        if (behind < 0 && last) throw new Error(this.#describe("has ended without", expected));
        return behind >= 0;
      },
      () => this.#describe("does not show", expected),
    );
  }

  #describe(verb, expected) {
    const shown = lines(this.#output).slice(this.#read).join("\n");
    return `the terminal "${this.name}" ${verb}\n${expected}\nafter its earlier output, but shows\n${shown}`;
  }

  /** Types a line. */
  type(line) {
    this.#child.stdin.write(line.replace(/\n$/, "\r"));
  }

  /** Presses Ctrl-C and waits until the commands have ended. */
  async end() {
    this.#child.stdin.write(interrupt);
    await within(patience, this.#ended, () => this.#describe("does not end after Ctrl-C:", ""));
  }

  /** Ends the commands of a failed test, even if they ignore Ctrl-C. */
  async kill() {
    this.#child.stdin.write(interrupt);
    const killer = setTimeout(() => {
      this.#child.stdin.write(quit);
      this.#child.kill();
    }, 2_000);
    await this.#ended;
    clearTimeout(killer);
  }
}
