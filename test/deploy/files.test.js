import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { path } from "./support/cluster.js";

const read = (name) => readFileSync(path(name), "utf8");

/** installed reports whether a program runs with these arguments. */
function installed(program, ...args) {
  return spawnSync(program, args, { stdio: "ignore" }).status === 0;
}

/** run returns the output of a program, and throws its error output if it fails. */
function run(program, ...args) {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: path("."), encoding: "utf8" });
  assert.equal(status, 0, `${program} ${args.join(" ")}: ${stderr}`);
  return stdout;
}

describe("the files for a deployment", () => {
  it("are valid for Docker Compose", (t) => {
    let config;
    if (installed("docker-compose", "version")) {
      config = run("docker-compose", "config");
    } else if (installed("docker", "compose", "version")) {
      config = run("docker", "compose", "config");
    } else {
      t.diagnostic("Docker Compose is not installed: docker-compose.yml is not checked");
      return;
    }
    for (const service of ["node1", "node2", "node3", "redis", "balancer", "prometheus"]) {
      assert.match(config, new RegExp(`^  ${service}:$`, "m"));
    }
  });

  it("are valid for Prometheus", (t) => {
    if (installed("promtool", "--version")) {
      run("promtool", "check", "config", "deploy/prometheus/prometheus.yml");
    } else {
      t.diagnostic("promtool is not installed: the alerts are not checked");
    }
  });

  it("name the same nodes", () => {
    const nodes = (port) => ["node1", "node2", "node3"].map((name) => `${name}:${port}`);
    const named = (text) => [...new Set(text.match(/node\d:\d+/g))].sort();
    const files = ["docker-compose.yml", "deploy/haproxy/haproxy.cfg", "deploy/nginx/nginx.conf"];
    for (const file of files) assert.deepEqual(named(read(file)), nodes(8080), file);
    assert.deepEqual(named(read("deploy/prometheus/prometheus.yml")), nodes(9090));
    assert.equal(read("docker-compose.yml").match(/--internal-listen :9090/g).length, 3);
  });

  it("give nodes enough time to drain", () => {
    const compose = read("docker-compose.yml");
    const grace = Number(/stop_grace_period: (\d+)s/.exec(compose)[1]);
    const drains = [...compose.matchAll(/--drain-timeout (\d+)s/g)].map(([, text]) => Number(text));
    assert.equal(drains.length, 3);
    for (const drain of drains) assert.ok(grace > drain, `${grace} s of grace, ${drain} s to drain`);
  });

  it("wait longer for a silent client than a node does", () => {
    // A ping after 25 s and the pong within 20 s; see docs/operating.md.
    const patience = Number(/timeout tunnel (\d+)s/.exec(read("deploy/haproxy/haproxy.cfg"))[1]);
    assert.ok(patience > 45, `${patience} s`);
    const nginx = read("deploy/nginx/nginx.conf");
    for (const [, text] of nginx.matchAll(/proxy_(?:read|send)_timeout (\d+)s/g)) {
      assert.ok(Number(text) > 45, `${text} s`);
    }
  });
});
