// HAProxy passes the address of its clients on with the PROXY protocol.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { limit } from "../compat/js/support/program.js";
import { path, until } from "./support/cluster.js";

const program = process.env.STOA_PROGRAM ?? path("bin/stoa");

/** Starts a process, and collects its output. */
function start(command, ...args) {
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/local/sbin:/usr/sbin:/sbin` };
  const child = spawn(command, args, { env, stdio: ["ignore", "pipe", "pipe"] });
  const started = { child, output: "" };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8");
    stream.on("data", (text) => (started.output += text));
  }
  started.ended = new Promise((resolve) => {
    child.once("error", resolve);
    child.once("close", resolve);
  });
  process.once("exit", () => child.kill());
  return started;
}

/** printed waits for a text in the output of a process, and returns its group. */
const printed = (started, pattern) =>
  until(
    () => pattern.exec(started.output)?.[1],
    () => `${pattern} was not printed: ${started.output}`,
  );

/** freePort returns a port on which no process listens. */
const freePort = () =>
  new Promise((resolve, reject) => {
    const server = createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });

for (const version of ["send-proxy", "send-proxy-v2"]) {
  describe(`a node behind haproxy with ${version}`, () => {
    let node;
    let balancer;
    let directory;
    let port;

    before(async () => {
      node = start(
        program, "serve", "--listen", "127.0.0.1:0",
        "--trusted-proxy", "127.0.0.1", "--proxy-protocol", "--proxy-header", "none",
      );
      const address = await printed(node, /Open +http:\/\/(\S+)\//);
      directory = await mkdtemp(join(tmpdir(), "stoa-proxy-"));
      port = await freePort();
      const lines = [
        "defaults", "  mode tcp", "  timeout connect 2s", "  timeout client 10s", "  timeout server 10s",
        "frontend public", `  bind 127.0.0.1:${port}`, "  default_backend node",
        "backend node", `  server node ${address} ${version} check check-send-proxy inter 100ms`, "",
      ];
      await writeFile(join(directory, "haproxy.cfg"), lines.join("\n"));
      balancer = start("haproxy", "-db", "-f", join(directory, "haproxy.cfg"));
    });
    after(async () => {
      for (const each of [balancer, node]) {
        each?.child.kill();
        await each?.ended;
      }
      await rm(directory, { recursive: true, force: true });
    });

    /** Asks for a page of a refused host, and returns the client's own address. */
    const ask = (host) =>
      new Promise((resolve, reject) => {
        let answer = "";
        const socket = connect({ port, host: "127.0.0.1", localAddress: "127.0.0.7" });
        socket.setEncoding("utf8").once("error", reject);
        let own;
        socket.once("connect", () => (own = `${socket.localAddress}:${socket.localPort}`));
        socket.on("data", (chunk) => (answer += chunk));
        socket.once("close", () => (answer.startsWith("HTTP/1.1 421") ? resolve(own) : reject(new Error(answer))));
        socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nX-Forwarded-For: 192.0.2.66\r\nConnection: close\r\n\r\n`);
      });

    it("logs the address of the client, also after health checks", limit, async () => {
      const own = await until(
        () => ask("a.example").catch(() => false),
        () => `haproxy does not answer: ${balancer.output}`,
      );
      assert.equal(await printed(node, /host=a\.example peer=(\S+)/), own);
      assert.doesNotMatch(node.output, /PROXY protocol/);
    });
  });
}
