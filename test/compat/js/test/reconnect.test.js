import assert from "node:assert/strict";
import { after, before, it } from "node:test";

import { enter } from "../support/client.js";
import { eachTransport, limit, startProgram } from "../support/program.js";

const rooms = ["agora", "semi;colon"];
const options = () => ({ reconnect: 50 });

// neffos row 16: clients find everything again when a node comes back.
eachTransport("reconnecting neffos.js clients", (args) => {
  let program;
  let people;

  before(async () => {
    program = await startProgram({ args });
    people = await Promise.all(
      ["ada", "ben", "cai"].map((name) => enter(program.url, name, rooms, options())),
    );
  });
  after(async () => {
    for (const person of people ?? []) person.close();
    await program.kill();
  });

  /** Calls end, starts the program on the same port and waits for all clients. */
  async function restart(end) {
    const earlier = people.map((person) => ({
      id: person.conn.ID,
      joins: rooms.map((room) => person.joins(room)),
    }));
    const { port } = program;
    await end();
    program = await startProgram({ port, args });
    assert.equal(program.port, port);
    for (const [index, person] of people.entries()) {
      await person.lifecycle.until(
        () => rooms.every((room, at) => person.joins(room) > earlier[index].joins[at]),
        "to be in all rooms again",
      );
      assert.notEqual(person.conn.ID, earlier[index].id, "a new connection has a new ID");
      assert.equal(person.conn.wasReconnected(), true);
      assert.deepEqual([...person.ns.rooms.keys()].sort(), rooms);
    }
  }

  async function allReceive(text) {
    for (const room of rooms) {
      for (const sender of people) {
        const body = `${text} from ${sender.name}`;
        assert.equal(sender.ns.room(room).emit("chat", body), true);
        for (const person of people) {
          if (person === sender) continue;
          await person.messages.until(
            (items) => items.some((item) => item.body === body && item.room === room),
            body,
          );
        }
      }
    }
  }

  it("hear each other first", limit, () => allReceive("first"));

  it("are back in namespace and rooms after the program was killed", limit, async () => {
    await restart(() => program.kill());
    await allReceive("after the kill");
  });

  it("are back after a second kill", limit, async () => {
    await restart(() => program.kill());
    await allReceive("after the second kill");
  });

  it("are back after the program was stopped", limit, async () => {
    await restart(() => program.stop());
    await allReceive("after the stop");
  });

  it("heard nothing twice", limit, () => {
    for (const person of people) {
      const heard = person.messages.items.map((item) => `${item.room} ${item.body}`);
      assert.equal(new Set(heard).size, heard.length, person.name);
      assert.equal(heard.length, 4 * rooms.length * (people.length - 1));
    }
  });
});
