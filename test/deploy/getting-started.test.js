// Follows docs/getting-started.md in an empty folder: runs its commands, and compares
// their output with that of the page. Only the ports are others.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { appendFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";

import { path, until } from "./support/cluster.js";
import { find, lines, patterns, readPage } from "./support/page.js";
import { Terminal } from "./support/terminal.js";

const limit = { timeout: 120_000 };
const ports = ["8080", "8081", "9090", "9091", "6379", "8443"];
const page = readPage(readFileSync(path("docs/getting-started.md"), "utf8"));

/** Returns free ports, all of them different. */
async function freePorts(count) {
  const servers = await Promise.all(
    Array.from({ length: count }, () =>
      new Promise((resolve) => {
        const server = createServer().listen(0, "127.0.0.1", () => resolve(server));
      }),
    ),
  );
  const free = servers.map((server) => String(server.address().port));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return free;
}

/**
 * Reader is a person who follows the page.
 */
class Reader {
  #folder;
  #ports = new Map();
  #clone; // environment in the clone
  #environment;
  #terminals = new Map();
  #last; // checks the output of the last commands

  async sitDown() {
    this.#folder = await mkdtemp(join(tmpdir(), "stoa-tour-"));
    const free = await freePorts(ports.length);
    ports.forEach((port, i) => this.#ports.set(port, free[i]));
    // Neither variables nor files of the developer belong to an empty folder.
    const own = Object.entries(process.env).filter(([name]) => !/^(STOA_|NODE_|XDG_|NO_COLOR$)/.test(name));
    const go = join(this.#folder, "go");
    this.#environment = {
      ...Object.fromEntries(own),
      HOME: join(this.#folder, "home"),
      SHELL: "/bin/bash",
      TERM: "xterm",
      NO_PROXY: "localhost,127.0.0.1",
      // Debian installs haproxy in a folder that only root has in PATH.
      PATH: [join(go, "bin"), dirname(process.execPath), process.env.PATH, "/usr/sbin"].join(":"),
    };
    // The page names Node.js 22, which has WebSocket.
    if (typeof WebSocket === "undefined") this.#environment.NODE_OPTIONS = "--experimental-websocket";
    const [cache, modules] = execFileSync("go", ["env", "GOCACHE", "GOMODCACHE"], { encoding: "utf8" }).split("\n");
    this.#clone = { ...this.#environment, GOPATH: go, GOCACHE: cache, GOMODCACHE: modules, GOBIN: "" };
    this.#folder = await mkdtemp(join(this.#folder, "empty-"));
  }

  async standUp() {
    for (const terminal of this.#terminals.values()) await terminal.kill();
    if (this.#folder) await rm(dirname(this.#folder), { recursive: true, force: true });
  }

  /** Executes one example. next is the example behind it, if any. */
  async follow({ verb, name, option, content }, next) {
    const text = content.replace(/\b\d{4}\b/g, (number) => this.#ports.get(number) ?? number);
    switch (verb) {
      case "clone":
      case "run": {
        const own = next?.verb === "output" && next.name === undefined;
        const expected = own ? next.content.replace(/\b\d{4}\b/g, (n) => this.#ports.get(n) ?? n) : "";
        this.#last = undefined;
        return this.#run(text, verb === "clone", name ?? option, expected);
      }
      case "file":
        return writeFile(join(this.#folder, name), text, { flag: "wx" });
      case "append":
        return appendFile(join(this.#folder, name), text, { flag: "a" });
      case "terminal":
        assert.ok(!this.#terminals.has(name), `${name} is busy`);
        this.#last = new Terminal(name, text, { cwd: this.#folder, env: this.#environmentOf(text) });
        this.#terminals.set(name, this.#last);
        return undefined;
      case "output":
        return (name === undefined ? this.#last : this.#terminals.get(name))?.shows(text);
      case "type":
        return this.#terminals.get(name).type(text);
      case "Ctrl-C":
        await this.#terminals.get(name).end();
        this.#terminals.delete(name);
        return undefined;
      default:
        throw new Error(`unknown example ${verb}`);
    }
  }

  /** A node without a file has the default port, which the test replaces, too. */
  #environmentOf(commands) {
    if (commands !== "stoa\n") return this.#environment;
    return { ...this.#environment, STOA_LISTEN_ADDRESS: `127.0.0.1:${this.#ports.get("8080")}` };
  }

  /** Runs commands and compares their output, and the exit code. */
  async #run(commands, inClone, option, expected) {
    const code = Number(/exit code (\d+)/.exec(option)?.[1] ?? 0);
    const wanted = expected === "" ? [] : patterns(expected);
    const attempt = async () => {
      const child = spawn("bash", ["-euo", "pipefail", "-c", commands], {
        cwd: inClone ? path("") : this.#folder,
        env: inClone ? this.#clone : this.#environment,
        stdio: ["ignore", "pipe", "pipe"],
      });
      let output = "";
      for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (t) => (output += t));
      const status = await new Promise((resolve) => child.once("close", resolve));
      const printed = output === "" ? [] : lines(output.replace(/\n$/, ""));
      const same = printed.length === wanted.length && find(printed, wanted, 0) >= 0;
      return { good: same && status === code, report: `exit code ${status}\n${output}` };
    };
    const sentence = (report) => `${commands}has\n${report}instead of exit code ${code}\n${expected}`;
    let { good, report } = await attempt();
    if (option === "repeated") {
      await until(
        async () => good || ({ good, report } = await attempt()).good,
        () => sentence(report),
      );
    }
    assert.ok(good, sentence(report));
  }
}

describe("the page docs/getting-started.md", () => {
  const reader = new Reader();
  before(() => reader.sitDown());
  after(() => reader.standUp());

  it("leads a reader through all its steps", limit, async (t) => {
    for (const { title, examples } of page) {
      const start = Date.now();
      for (const [i, example] of examples.entries()) {
        await reader.follow(example, examples[i + 1]).catch((error) => {
          throw new Error(`${title}: ${error.message}`, { cause: error });
        });
      }
      t.diagnostic(`${title}: ${Date.now() - start} ms`);
    }
    assert.equal(page.length, 8);
  });
});
