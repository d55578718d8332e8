// Tests reconnecting after a server has closed, died or refused.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, it } from "node:test";

import * as stoa from "stoa-client";

import { peers, startPeer, startProgram } from "../../test/compat/js/support/program.js";
import { closeGuests, dial, enter } from "./support/guest.js";
import { eachPeer, limit, quick } from "./support/peers.js";

const rooms = ["agora", "semi;colon", "stoa"];

eachPeer("reconnecting", ({ start }) => {
  let program;
  before(async () => {
    program = await start();
  });
  after(() => program.kill());
  afterEach(closeGuests);

  it("rejoins its rooms after the server was killed", limit, async () => {
    const people = await Promise.all(["ada", "ben"].map((name) => enter(program.url, name, rooms)));
    const joined = people.map(({ lifecycle }) => lifecycle.items.length);
    for (let time = 1; time <= 2; time++) {
      const earlier = people.map(({ conn }) => conn.ID);
      const { port } = program;
      await program.kill();
      for (const person of people) await person.state("reconnecting", time);
      program = await start(port);
      for (const [index, person] of people.entries()) {
        await person.state("connected", time + 1);
        assert.notEqual(person.conn.ID, earlier[index], "a new connection has a new ID");
        const ns = person.conn.namespace("default");
        assert.deepEqual([...ns.rooms.keys()], rooms, "in the order of joining");
        assert.equal(ns, person.ns, "the handles stay");
        assert.equal(person.lifecycle.items.length, joined[index], "handlers for joining or leaving were called");
      }
      const [ada, ben] = people;
      const received = ben.messages.items.length;
      for (const room of rooms) ada.conn.namespace("default").room(room).emit("chat", `time ${time}`);
      const items = await ben.messages.count(received + rooms.length);
      assert.deepEqual(items.slice(received).map((item) => item.room), rooms);
    }
  });

  it("keeps emits while the connection is lost, in order", limit, async () => {
    const ada = await enter(program.url, "ada", ["hall"]);
    const ben = await enter(program.url, "ben", ["hall"]);
    const hall = ada.ns.room("hall");
    const { port } = program;
    await program.kill();
    await Promise.all([ada.state("reconnecting"), ben.state("reconnecting")]);
    ben.conn.close();
    const texts = Array.from({ length: 50 }, (_, number) => `number ${number}`);
    for (const text of texts) assert.equal(ada.ns.emit("push", text), true);
    assert.equal(hall.emit("chat", "to the hall"), true, "rooms are kept, too");
    program = await start(port);
    const received = await ada.messages.count(texts.length);
    assert.deepEqual(received.map((item) => item.body), texts);
  });

  it("fails asks in flight at once", limit, async () => {
    const ada = await enter(program.url, "ada");
    const asked = ada.ns.ask("silent", "");
    const { port } = program;
    await Promise.all([
      assert.rejects(asked, stoa.ErrDisconnected),
      program.kill(),
    ]);
    program = await start(port);
    await ada.state("connected", 2);
    assert.equal((await ada.ns.ask("echo", "again")).Body, "again");
  });

  it("closes if reconnecting is off", limit, async () => {
    const ada = await enter(program.url, "ada", [], { options: { reconnect: false } });
    ada.ns.emit("end", "1012 restart");
    const closed = await ada.state("closed");
    assert.ok(closed);
    assert.equal(ada.conn.isClosed(), true);
    assert.equal(ada.ns.emit("push", "after"), false);
  });

  it("does not retry after a refusal", limit, async () => {
    await assert.rejects(dial(`${program.url}?refuse=go+away`, "ada"), /go away|403|refused/);
  });
});

describe("reconnecting to a node", () => {
  let program;
  before(async () => {
    program = await startProgram();
  });
  after(() => program.kill());
  afterEach(closeGuests);

  it("reconnects after a drain", limit, async () => {
    const ada = await enter(program.url, "ada", ["hall"]);
    const { port } = program;
    assert.equal(await program.stop(), 0);
    const lost = await ada.state("reconnecting");
    assert.equal(lost.code, 1001);
    program = await startProgram({ port });
    await ada.state("connected", 2);
    const ben = await enter(program.url, "ben", ["hall"]);
    ben.ns.room("hall").emit("chat", "welcome back");
    assert.equal((await ada.messages.event("chat")).body, "welcome back");
  });

  it("dials a server that starts later", limit, async () => {
    const { port } = program;
    await program.kill();
    const dialed = dial(`ws://127.0.0.1:${port}/ws`, "ada");
    program = await startProgram({ port });
    const ada = await dialed;
    assert.equal(ada.conn.state, "connected");
  });

  it("stops dialing when it is aborted", limit, async () => {
    const { port } = program;
    await program.kill();
    const controller = new AbortController();
    const dialed = dial(`ws://127.0.0.1:${port}/ws`, "ada", { options: { signal: controller.signal } });
    setTimeout(() => controller.abort(), 50);
    await assert.rejects(dialed);
    program = await startProgram({ port });
  });

  it("closes after the given number of attempts", limit, async () => {
    const { port } = program;
    const reconnect = { ...quick, attempts: 3 };
    const ada = await enter(program.url, "ada", [], { options: { reconnect } });
    await program.kill();
    await ada.state("closed");
    const attempts = ada.states.items.filter((item) => item.state === "reconnecting");
    assert.ok(attempts.length >= 3, `${attempts.length} attempts`);
    program = await startProgram({ port });
  });

  for (const policy of ["drop", "fail"]) {
    it(`follows the policy for emits: ${policy}`, limit, async () => {
      const ada = await enter(program.url, "ada", ["hall"], { options: { buffer: { policy } } });
      const ben = await enter(program.url, "ben", ["hall"]);
      const { port } = program;
      await program.kill();
      await Promise.all([ada.state("reconnecting"), ben.state("reconnecting")]);
      const emitted = ada.ns.room("hall").emit("chat", "lost");
      assert.equal(emitted, policy === "drop");
      program = await startProgram({ port });
      await Promise.all([ada.state("connected", 2), ben.state("connected", 2)]);
      ada.ns.room("hall").emit("chat", "kept");
      const [message] = await ben.messages.count(1);
      assert.equal(message.body, "kept");
    });
  }

  it("keeps no more than the buffer holds", limit, async () => {
    const buffer = { policy: "keep", messages: 3 };
    const ada = await enter(program.url, "ada", ["hall"], { options: { buffer } });
    const ben = await enter(program.url, "ben", ["hall"]);
    const { port } = program;
    await program.kill();
    await Promise.all([ada.state("reconnecting"), ben.state("reconnecting")]);
    const emitted = [1, 2, 3, 4].map((number) => ada.ns.room("hall").emit("chat", `${number}`));
    assert.deepEqual(emitted, [true, true, true, false]);
    program = await startProgram({ port });
    await ben.state("connected", 2);
    await ada.state("connected", 2);
  });
});

describe("close codes of a node", () => {
  let program;
  before(async () => {
    program = await startPeer(peers.stoa);
  });
  after(() => program.kill());
  afterEach(closeGuests);

  for (const code of [1001, 1011, 1012, 1013, 4000, 4002, 4777]) {
    it(`reconnects after ${code}`, limit, async () => {
      const ada = await enter(program.url, "ada", ["hall"]);
      ada.ns.emit("end", `${code} because`);
      const lost = await ada.state("reconnecting");
      assert.deepEqual([lost.code, lost.reason], [code, "because"]);
      await ada.state("connected", 2);
      assert.deepEqual([...ada.conn.namespace("default").rooms.keys()], ["hall"]);
    });
  }

  for (const code of [1000, 1002, 1007, 1008, 1009, 4001, 4401, 4403, 4409]) {
    it(`closes after ${code}`, limit, async () => {
      const ada = await enter(program.url, "ada", ["hall"]);
      ada.ns.emit("end", `${code} because`);
      const closed = await ada.state("closed");
      assert.deepEqual([closed.code, closed.reason], [code, "because"]);
      assert.equal(ada.conn.isClosed(), true);
      assert.equal(ada.states.items.some((item) => item.state === "reconnecting"), false);
    });
  }

  it("uses the delay that the server suggests", limit, async () => {
    const options = { reconnect: { base: 1, cap: 200 } };
    const ada = await enter(program.url, "ada", [], { options });
    ada.ns.emit("end", "1012 moved; retry-after=250");
    const lost = await ada.state("reconnecting");
    assert.ok(lost.delay >= 250 && lost.delay <= 400, `${lost.delay} ms, want 250 and some jitter`);
    await ada.state("connected", 2);
    ada.ns.emit("end", "1012 moved; retry-after=3600000");
    const again = await ada.state("reconnecting", 2);
    assert.ok(again.delay <= 600, `${again.delay} ms, want twice the cap and some jitter`);
  });
});
