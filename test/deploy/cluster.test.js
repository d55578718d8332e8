import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { get as httpGet } from "node:http";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";

import { enter } from "../compat/js/support/client.js";
import { limit } from "../compat/js/support/program.js";
import { path, startCluster, until } from "./support/cluster.js";

const room = "agora";
const options = () => ({ reconnect: 100 });
const names = ["node1", "node2", "node3"];
const nodeOf = (person) => person.conn.ID.split("-")[0];
const program = process.env.STOA_PROGRAM ?? path("bin/stoa");

/** Sends a request with the options of node:http, which fetch does not have. */
const get = (url, request) =>
  new Promise((resolve, reject) => {
    httpGet(url, { agent: false, ...request }, (response) => {
      response.resume();
      resolve(response);
    }).once("error", reject);
  });

for (const balancer of ["haproxy", "nginx"]) {
  describe(`three nodes behind ${balancer}`, () => {
    let cluster;
    let stopped = false;
    const people = [];

    before(async () => {
      cluster = await startCluster(balancer);
      for (let i = 0; i < 9; i++) {
        people.push(await enter(cluster.url, `person ${i}`, [room], options()));
      }
    });
    after(async () => {
      for (const person of people) person.close();
      if (!stopped) await cluster?.stop();
    });

    /** Sends the request with which neffos.js asks whether it may dial. */
    const probe = () => fetch(`${cluster.page}/ws`, { method: "HEAD", redirect: "manual" });

    /** All clients but the sender receive the messages of each sender. */
    async function allReceive(text, senders = people) {
      for (const sender of senders) {
        const body = `${text} from ${sender.name}`;
        assert.equal(sender.ns.room(room).emit("chat", body), true, `${sender.name} cannot emit`);
        for (const person of people) {
          if (person === sender) continue;
          await person.messages.until((items) => items.some((item) => item.body === body), body);
        }
      }
    }

    /**
     * Waits until a person is in the room again. The person had joined it so many times, and may
     * have reconnected to another node in between.
     */
    const back = (person, joins) =>
      person.lifecycle.until(
        () => person.joins(room) > joins && person.ns.rooms.has(room),
        "to be in the room again",
      );

    /** Calls a function that closes connections of some people, and waits for their return. */
    async function survive(those, action) {
      const earlier = new Map(
        people.map((person) => [person, { id: person.conn.ID, joins: person.joins(room) }]),
      );
      await action();
      for (const person of people) {
        const { id, joins } = earlier.get(person);
        if (those.includes(person)) {
          await back(person, joins);
          assert.notEqual(person.conn.ID, id, `${person.name} has a new connection`);
        } else {
          assert.equal(person.conn.ID, id, `${person.name} has kept the connection`);
        }
      }
    }

    /** Waits until the node gets new clients, and keeps the first of them connected. */
    async function getsClients(name) {
      await until(
        async () => {
          const person = await enter(cluster.url, `guest of ${name}`, [room], options());
          if (nodeOf(person) === name) return people.push(person);
          person.close();
          return false;
        },
        () => `no client comes to ${name}`,
      );
    }

    it("spread the clients evenly", limit, () => {
      const clients = names.map((name) => people.filter((person) => nodeOf(person) === name).length);
      assert.deepEqual(clients, [3, 3, 3]);
    });

    it("relay messages to each other in one order", limit, async () => {
      const senders = names.map((name) => people.find((person) => nodeOf(person) === name));
      const count = 50;
      for (let i = 0; i < count; i++) {
        for (const sender of senders) sender.ns.room(room).emit("count", `${nodeOf(sender)} ${i}`);
      }
      const listeners = people.filter((person) => !senders.includes(person));
      const heard = [];
      for (const person of listeners) {
        await person.messages.count(count * senders.length);
        heard.push(person.messages.items.map((item) => item.body));
      }
      for (const bodies of heard) assert.deepEqual(bodies, heard[0]);
      assert.equal(new Set(heard[0]).size, count * senders.length);
    });

    it("report their health", limit, async () => {
      for (const [name, url] of cluster.nodes) {
        const ready = await fetch(`${url}/readyz`);
        assert.equal(ready.status, 200, `${name}: ${await ready.text()}`);
        let metrics = "";
        // A node reads the list of nodes at intervals, so it may not know all yet.
        await until(
          async () => {
            metrics = await (await fetch(`${url}/metrics`)).text();
            return /^stoa_known_nodes 3$/m.test(metrics);
          },
          () => `${name} does not know three nodes`,
        );
        assert.match(metrics, /^stoa_connections 3$/m, name);
      }
      assert.equal((await fetch(`${cluster.page}/readyz`)).status, 200);
      const { stdout } = await promisify(execFile)(program, ["nodes", "--redis", cluster.redis]);
      for (const name of names) assert.match(stdout, new RegExp(name));
    });

    it("have all metrics of the alerts", limit, async () => {
      let figures = "";
      for (const url of [...cluster.nodes.values(), cluster.state].filter(Boolean)) {
        figures += await (await fetch(`${url}/metrics`)).text();
      }
      const rules = await readFile(path("deploy/prometheus/alerts.yml"), "utf8");
      const wanted = new Set(rules.match(/\b(stoa|process|haproxy)_\w+/g));
      if (!cluster.state) wanted.delete("haproxy_server_status");
      const missing = [...wanted].filter((name) => !new RegExp(`^${name}[ {]`, "m").test(figures));
      assert.deepEqual(missing, []);
      assert.ok(wanted.size > 10, `${wanted.size} figures`);
    });

    it("show the page through the load balancer, but no metrics", limit, async () => {
      assert.match(await (await fetch(`${cluster.page}/`)).text(), /id="log"/);
      assert.equal((await fetch(`${cluster.page}/metrics`)).status, 404);
      if (cluster.state) {
        const figures = await (await fetch(`${cluster.state}/metrics`)).text();
        assert.match(figures, /^haproxy_server_status\{proxy="nodes",server="node1",state="UP"\} 1$/m);
      }
    });

    it("see the addresses of clients, and believe no client about its own", limit, async () => {
      // A node logs refused hosts with the address of their client.
      const seen = async (url, localAddress, host) => {
        const forged = { "X-Forwarded-For": "192.0.2.66", Forwarded: "for=192.0.2.66" };
        const response = await get(url, { localAddress, headers: { Host: host, ...forged } });
        assert.equal(response.statusCode, 421);
        const line = new RegExp(`host=${host} peer=(\\S+)`);
        return until(
          async () => {
            for (const name of names) {
              const found = line.exec(await readFile(`${cluster.directory}/${name}.log`, "utf8"));
              if (found) return found[1];
            }
            return false;
          },
          () => `no node has logged the host ${host}`,
        );
      };
      assert.equal(await seen(`${cluster.page}/`, "127.0.0.5", "a.example"), "127.0.0.5:0");
      const direct = await seen(`${cluster.nodes.get("node1")}/`, "127.0.0.6", "b.example");
      assert.match(direct, /^127\.0\.0\.6:[1-9]\d*$/);
    });

    it("let the page connect from its own origin only", limit, async () => {
      await enter(cluster.url, "own page", [], { origin: cluster.page }).then((p) => p.close());
      await assert.rejects(enter(cluster.url, "foreign page", [], { origin: "http://example.com" }));
    });

    it("pause with Redis, close no connection, and continue", limit, async () => {
      const signal = (name) => process.kill(cluster.processes.get("redis"), name);
      await survive([], async () => {
        signal("SIGSTOP");
        try {
          people[0].ns.room(room).emit("chat", "said during the pause");
          await until(
            () => fetch(`${cluster.page}/readyz`).then(
              (answer) => !answer.ok,
              () => true,
            ),
            () => "the load balancer finds a node ready without Redis",
          );
        } finally {
          signal("SIGCONT");
        }
        for (const person of people.slice(1)) {
          await person.messages.until(
            (items) => items.some((item) => item.body === "said during the pause"),
            "the messages of the pause",
          );
        }
      });
      await until(
        async () => {
          for (const url of cluster.nodes.values()) {
            if (!(await fetch(`${url}/readyz`)).ok) return false;
          }
          return fetch(`${cluster.page}/readyz`).then(
            (answer) => answer.ok,
            () => false,
          );
        },
        () => "the nodes are not ready again",
      );
      await allReceive("after the pause", people.slice(0, 1));
    });

    it("lose a node to SIGTERM: its clients move to the other nodes", limit, async () => {
      const those = people.filter((person) => nodeOf(person) === "node2");
      await survive(those, () => cluster.end("node2", "SIGTERM"));
      for (const person of those) assert.notEqual(nodeOf(person), "node2");
      assert.equal((await fetch(`${cluster.page}/readyz`)).status, 200);
      await allReceive("after the stop", those);
    });

    it("take it back", limit, async () => {
      await cluster.restart(["node2"]);
      await getsClients("node2");
      await allReceive("after the start", people.slice(-1));
    });

    it("are replaced one by one: all clients stay in the room", limit, async () => {
      let moved = 0;
      for (const name of names) {
        const those = people.filter((person) => nodeOf(person) === name);
        moved += those.length;
        await survive(those, () => cluster.end(name, "SIGTERM"));
        await cluster.restart([name]);
        await getsClients(name);
      }
      assert.ok(moved < 2 * people.length, `${moved} reconnects of ${people.length} clients`);
      await allReceive("after the deploy", people.slice(0, 1));
    });

    it("lose two nodes to SIGKILL: new clients reach the third one at once", limit, async () => {
      const those = people.filter((person) => nodeOf(person) !== "node1");
      await survive(those, async () => {
        await Promise.all(["node2", "node3"].map((name) => cluster.end(name, "SIGKILL")));
        for (let i = 0; i < 5; i++) {
          const person = await enter(cluster.url, `new client ${i}`, [room], options());
          assert.equal(nodeOf(person), "node1");
          person.close();
        }
      });
      await cluster.restart(["node2", "node3"]);
      for (const name of ["node2", "node3"]) await getsClients(name);
      await allReceive("after two crashes", people.slice(-2));
    });

    it("lose a node to SIGKILL: its clients move to the other nodes", limit, async () => {
      const those = people.filter((person) => nodeOf(person) === "node3");
      assert.notEqual(those.length, 0);
      await survive(those, () => cluster.end("node3", "SIGKILL"));
      await allReceive("after the crash", those);
    });

    it("are all down for a moment: all clients return", limit, async () => {
      let last;
      await survive(people, async () => {
        await cluster.end("node1", "SIGTERM");
        // Only node2 is left. A neffos.js client whose probe it has answered would not survive
        // a failed dial, so node2 takes the dial before it ends.
        assert.equal((await probe()).status, 302);
        const ending = cluster.end("node2", "SIGTERM");
        last = await enter(cluster.url, "the last one", [room], options());
        assert.equal(nodeOf(last), "node2");
        await ending;
        await assert.rejects(probe(), "a response without a node");
        await cluster.restart(names);
      });
      await back(last, 1);
      people.push(last);
      await allReceive("after the outage");
    });

    it("leave no process behind", limit, async () => {
      for (const person of people) person.close();
      stopped = true;
      assert.deepEqual(await cluster.stop(), { code: 0, left: [], directory: false });
    });
  });
}
