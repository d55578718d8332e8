import assert from "node:assert/strict";
import { after, before, it } from "node:test";

import * as neffos from "neffos.js";

import { dial, enter, namespace } from "../support/client.js";
import { eachTransport, limit, startProgram } from "../support/program.js";

eachTransport("a connection of neffos.js", (args) => {
  let program;
  const people = [];
  const remember = (person) => {
    people.push(person);
    return person;
  };

  before(async () => {
    program = await startProgram({ args });
  });
  after(async () => {
    for (const person of people) person.close();
    await program.kill();
  });

  it("gets an ID of its own that begins with the node's", limit, async () => {
    const first = remember(await dial(program.url, "first"));
    const second = remember(await dial(program.url, "second"));
    assert.match(first.conn.ID, /^[a-z0-9]{8}-.{22}$/);
    assert.match(second.conn.ID, /^[a-z0-9]{8}-.{22}$/);
    assert.notEqual(first.conn.ID, second.conn.ID);
    assert.equal(first.conn.ID.split("-")[0], second.conn.ID.split("-")[0]);
    assert.equal(first.conn.wasReconnected(), false);
  });

  it("connects to a namespace once", limit, async () => {
    const person = remember(await dial(program.url, "connects"));
    const ns = await person.conn.connect(namespace);
    assert.equal(ns.namespace, namespace);
    assert.equal(await person.conn.connect(namespace), ns);
    assert.equal(person.conn.namespace(namespace), ns);
    const events = person.lifecycle.items.map((item) => item.event);
    assert.deepEqual(events, [neffos.OnNamespaceConnect, neffos.OnNamespaceConnected]);
  });

  it("is refused a namespace that the server does not have", limit, async () => {
    const person = remember(
      await dial(program.url, "stranger", { namespaces: [namespace, "nowhere"] }),
    );
    await assert.rejects(person.conn.connect("nowhere"), { message: "bad namespace" });
    assert.equal(person.conn.namespace("nowhere"), undefined);
    const ns = await person.conn.connect(namespace);
    assert.equal(ns.namespace, namespace, "the connection is still good for another namespace");
  });

  it("disconnects from a namespace and connects again", limit, async () => {
    const person = remember(await enter(program.url, "comes and goes", ["hall"]));
    const other = remember(await enter(program.url, "stays", ["hall", "yard"]));
    const { ns } = person;
    assert.ok(!(await ns.disconnect()), "disconnect resolved with an error");
    assert.equal(person.conn.namespace(namespace), undefined);
    assert.equal(ns.rooms.size, 0);
    assert.equal(ns.emit("chat", "without a namespace"), false, "neffos.js emits after a disconnect");
    await assert.rejects(ns.ask("chat", "without a namespace"), { message: "write closed" });

    await person.conn.connect(namespace);
    await person.ns.joinRoom("yard");
    other.ns.room("hall").emit("chat", "into a room of earlier");
    other.ns.room("yard").emit("chat", "after the return");
    const [message] = await person.messages.count(1);
    assert.equal(message.body, "after the return");
  });

  it("closes without an effect on other connections", limit, async () => {
    const leaving = remember(await enter(program.url, "leaving", ["door"]));
    const staying = remember(await enter(program.url, "staying", ["door"]));
    const third = remember(await enter(program.url, "third", ["door"]));
    const { ns } = leaving;
    const closed = leaving.closed();
    ns.room("door").emit("chat", "goodbye");
    leaving.conn.close();
    assert.equal(leaving.conn.isClosed(), true);
    assert.equal(await closed, 1005, "the server answers the empty close frame with an empty one");
    assert.equal(ns.emit("chat", "after the end"), false);
    await assert.rejects(ns.ask("chat", "after the end"), { message: "use of closed connection" });

    staying.ns.room("door").emit("chat", "still here");
    const received = await third.messages.count(2);
    assert.deepEqual(
      received.map((message) => message.body).sort(),
      ["goodbye", "still here"],
      "an emit right before close is relayed",
    );
  });

  it("receives a close frame when the program stops", limit, async () => {
    const own = await startProgram({ args });
    const person = remember(await enter(own.url, "left alone", ["hall"]));
    const closed = person.closed();
    assert.equal(await own.stop(), 0, "exit code after SIGTERM");
    assert.ok([1001, 1012].includes(await closed), "a going-away close code");
    assert.equal(person.conn.isClosed(), true);
    const events = person.lifecycle.items.slice(-3).map((item) => item.event);
    assert.deepEqual(events, [
      neffos.OnRoomLeave,
      neffos.OnRoomLeft,
      neffos.OnNamespaceDisconnect,
    ]);
  });
});
