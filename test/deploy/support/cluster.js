// Starts scripts/cluster.sh and reads the addresses from its output.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { within } from "../../compat/js/support/program.js";

const top = fileURLToPath(new URL("../../..", import.meta.url));
const deadline = 20_000;

/** path returns the path of a file of the repository. */
export const path = (name) => `${top}${name}`;

/** Waits until the condition returns a true value, and returns it. */
export async function until(condition, sentence) {
  const end = Date.now() + deadline;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(sentence());
    await pause(20);
  }
}

/** exists reports whether a process exists. */
function exists(processID) {
  try {
    process.kill(processID, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * Cluster is a running cluster of three nodes.
 */
export class Cluster {
  #script;
  #output = "";
  #exited;
  /** Process IDs by name: node1, balancer, redis. */
  processes = new Map();

  /** @param {string[]} args are arguments for the script */
  constructor(args) {
    const script = path("scripts/cluster.sh");
    this.#script = spawn(script, ["--free-ports", ...args], { stdio: ["ignore", "pipe", "pipe"] });
    this.#exited = new Promise((resolve) => {
      this.#script.once("error", (error) => resolve({ error }));
      this.#script.once("close", (code, signal) => resolve({ code, signal }));
    });
    for (const stream of [this.#script.stdout, this.#script.stderr]) {
      stream.setEncoding("utf8");
      stream.on("data", (text) => {
        this.#output += text;
      });
    }
    // A failing test may not reach its clean-up.
    process.once("exit", () => this.#script.kill("SIGTERM"));
  }

  /** Waits until all nodes are ready. */
  async started() {
    let ended;
    this.#exited.then((end) => (ended = end));
    await until(
      () => ended !== undefined || this.#output.includes("The cluster is ready"),
      () => `the cluster is not ready: ${this.#output}`,
    );
    if (ended) throw new Error(`the script ended (${JSON.stringify(ended)}): ${this.#output}`);
    for (const [, name, processID] of this.#output.matchAll(/^(\w+) .* process (\d+)$/gm)) {
      this.processes.set(name, Number(processID));
    }
    const address = (pattern) => pattern.exec(this.#output)[1];
    this.page = address(/^balancer +(http:\S+)\//m);
    this.url = address(/^balancer .*(ws:\S+)/m);
    this.redis = address(/^redis +(\S+)/m);
    this.directory = address(/^directory +(\S+)/m);
    this.state = /^state +(http:\S+)\//m.exec(this.#output)?.[1];
    this.nodes = new Map(
      [...this.#output.matchAll(/^(node\d) +(http:\S+)\//gm)].map(([, name, url]) => [name, url]),
    );
    return this;
  }

  /** Sends a signal to a process of the cluster and waits until it has exited. */
  async end(name, signal) {
    process.kill(this.processes.get(name), signal);
    await this.#printed(new RegExp(`^${name} has exited$`, "m"));
  }

  /** Restarts the ended processes, and waits until the nodes among it are ready. */
  async restart(names) {
    this.#output = "";
    this.#script.kill("SIGUSR1");
    for (const name of names) {
      const [, processID] = await this.#printed(
        new RegExp(`^${name} restarted, process (\\d+)$`, "m"),
      );
      this.processes.set(name, Number(processID));
    }
    for (const name of names.filter((each) => this.nodes.has(each))) {
      await until(
        () => fetch(`${this.nodes.get(name)}/readyz`).then(
          (answer) => answer.ok,
          () => false,
        ),
        () => `${name} is not ready`,
      );
    }
    this.#output = "";
  }

  #printed(pattern) {
    return until(
      () => pattern.exec(this.#output),
      () => `the script has not printed ${pattern}: ${this.#output}`,
    );
  }

  /** Ends everything; returns the exit code and the remaining processes. */
  async stop() {
    this.#script.kill("SIGTERM");
    const { code } = await within(
      deadline,
      this.#exited,
      () => `the script did not end after SIGTERM: ${this.#output}`,
    );
    const left = [...this.processes].filter(([, processID]) => exists(processID));
    return { code, left: left.map(([name]) => name), directory: existsSync(this.directory) };
  }
}

/** Starts a cluster with the load balancer of that name. */
export function startCluster(balancer) {
  return new Cluster(["--load-balancer", balancer, "--drain-timeout", "5s"]).started();
}
