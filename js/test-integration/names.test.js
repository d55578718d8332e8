// Uses every name of the object model, against a node and a neffos server.
import assert from "node:assert/strict";
import { after, afterEach, before, it } from "node:test";

import * as stoa from "stoa-client";

import { Inbox } from "../../test/compat/js/support/client.js";
import { closeGuests, dial, enter } from "./support/guest.js";
import { eachPeer, limit } from "./support/peers.js";

eachPeer("stoa-client", ({ name: server, start }) => {
  let program;
  before(async () => {
    program = await start();
  });
  after(() => program.kill());
  afterEach(closeGuests);

  it("has an ID that is its own", limit, async () => {
    const ada = await dial(program.url, "ada");
    const ben = await dial(program.url, "ben");
    assert.ok(ada.conn.ID.length > 10, ada.conn.ID);
    assert.notEqual(ada.conn.ID, ben.conn.ID);
    assert.equal(ada.conn.state, "connected");
  });

  it("connects to a namespace, once", limit, async () => {
    const ada = await dial(program.url, "ada");
    assert.equal(ada.conn.namespace("default"), undefined);
    const [first, second] = await Promise.all([
      ada.conn.connect("default"),
      ada.conn.connect("default"),
    ]);
    assert.equal(first, second);
    assert.equal(await ada.conn.connect("default"), first);
    assert.equal(ada.conn.namespace("default"), first);
    assert.equal(first.namespace, "default");
    assert.equal(first.conn, ada.conn);
    const connected = ada.happened().filter((event) => event === stoa.OnNamespaceConnected);
    assert.equal(connected.length, 1);
  });

  it("is refused a namespace", limit, async () => {
    const ada = await dial(program.url, "ada", { namespaces: ["default", "deny", "nowhere"] });
    await assert.rejects(ada.conn.connect("deny"), /not allowed/);
    await assert.rejects(ada.conn.connect("nowhere"), /bad namespace/);
    await assert.rejects(ada.conn.connect("undeclared"), /bad namespace/);
    assert.equal(ada.conn.namespace("deny"), undefined);
    await ada.conn.connect("default");
  });

  it("waits for a connect that the server starts", limit, async () => {
    const url = `${program.url}?bring=brought`;
    const ada = await dial(url, "ada", { namespaces: ["default", "brought"] });
    const brought = await ada.conn.waitServerConnect("brought");
    assert.equal((await brought.ask("echo", "here")).Body, "here");
    assert.equal(await ada.conn.waitServerConnect("brought"), brought, "resolves after the connect, too");
    await assert.rejects(ada.conn.waitServerConnect("default", { timeout: 20 }));
  });

  it("emits and asks in a namespace", limit, async () => {
    const ada = await enter(program.url, "ada");
    assert.equal(ada.ns.emit("push", "semi;colon; στοά"), true);
    const { body, room } = await ada.messages.event("pushed");
    assert.equal(body, "semi;colon; στοά");
    assert.ok(!room);

    const answer = await ada.ns.ask("echo", "what?");
    assert.equal(answer.Body, "what?");
    assert.equal(answer.Event, "echo");
    assert.equal(answer.Namespace, "default");
    await assert.rejects(ada.ns.ask("fail", ""), (error) => {
      assert.ok(error instanceof Error);
      assert.equal(error.message, "boom;1");
      return true;
    });
  });

  it("emits bytes and gets bytes", limit, async () => {
    const ada = await enter(program.url, "ada");
    const bytes = new Uint8Array([0, 59, 255, 128, 1]);
    assert.equal(ada.ns.emitBinary("push-binary", bytes), true);
    const { body } = await ada.messages.event("pushed");
    assert.deepEqual(new Uint8Array(body), bytes);
  });

  it("limits and aborts asks", limit, async () => {
    const ada = await enter(program.url, "ada");
    await assert.rejects(ada.ns.ask("silent", "", { timeout: 20 }), { message: "timeout", code: "timeout" });
    const controller = new AbortController();
    const asked = ada.ns.ask("silent", "", { signal: controller.signal });
    controller.abort(new Error("no longer wanted"));
    await assert.rejects(asked, /no longer wanted|abort/i);
    if (server === "stoa") return; // it runs the handlers of one connection in order
    assert.equal((await ada.ns.ask("echo", "still here")).Body, "still here");
  });

  it("writes and asks whole messages", limit, async () => {
    const ada = await enter(program.url, "ada", ["hall"]);
    const ben = await enter(program.url, "ben", ["hall"]);
    const message = { Namespace: "default", Room: "hall", Event: "chat", Body: "to the others" };
    assert.equal(ada.conn.write(message), true);
    const got = await ben.messages.event("chat");
    assert.deepEqual([got.namespace, got.room, got.body], ["default", "hall", "to the others"]);

    const ask = { Namespace: "default", Event: "echo", Body: "what?" };
    assert.equal((await ada.conn.ask(ask)).Body, "what?");
    await assert.rejects(ada.conn.ask({ Namespace: "elsewhere", Event: "echo" }));
    assert.equal(ada.conn.write({ Namespace: "elsewhere", Event: "chat" }), false);
  });

  it("joins rooms and talks to the others in them", limit, async () => {
    const ada = await enter(program.url, "ada");
    const ben = await enter(program.url, "ben", ["hall", "semi;colon"]);
    const hall = await ada.ns.joinRoom("hall");
    assert.equal(await ada.ns.joinRoom("hall"), hall, "twice is the same");
    assert.equal(ada.ns.room("hall"), hall);
    assert.equal(hall.name, "hall");
    assert.equal(hall.nsConn, ada.ns);
    await ada.ns.joinRoom("semi;colon");
    assert.deepEqual([...ada.ns.rooms.keys()], ["hall", "semi;colon"]);

    assert.equal(hall.emit("chat", "first"), true);
    assert.equal(ada.ns.room("semi;colon").emit("chat", "second"), true);
    const received = await ben.messages.count(2);
    assert.deepEqual(
      received.map((item) => `${item.room}: ${item.body}`),
      ["hall: first", "semi;colon: second"],
    );
    assert.deepEqual(ada.messages.items, [], "a sender does not receive its own message");
  });

  it("is refused a room, and refused to leave one", limit, async () => {
    const ada = await enter(program.url, "ada", ["sticky"]);
    await assert.rejects(ada.ns.joinRoom("locked"), /room is locked/);
    assert.equal(ada.ns.room("locked"), undefined);
    await assert.rejects(ada.ns.room("sticky").leave(), /cannot leave/);
    await assert.rejects(ada.ns.leaveAll(), /cannot leave/);
    assert.ok(ada.ns.room("sticky"));
  });

  it("leaves one room, and all", limit, async () => {
    const ada = await enter(program.url, "ada", ["one", "two", "three"]);
    const one = ada.ns.room("one");
    await one.leave();
    assert.equal(ada.ns.room("one"), undefined);
    assert.equal(one.emit("chat", "after"), false);

    // The last of several requests counts, at the server as well.
    const leaving = ada.ns.room("two").leave();
    const again = await ada.ns.joinRoom("two");
    await leaving;
    assert.equal(ada.ns.room("two"), again);
    const cid = await enter(program.url, "cid", ["two"]);
    cid.ns.room("two").emit("chat", "heard");
    assert.equal((await ada.messages.event("chat")).body, "heard");
    ada.messages.items.length = 0;
    await ada.ns.leaveAll();
    assert.equal(ada.ns.rooms.size, 0);
    const left = ada.lifecycle.items.filter((item) => item.event === stoa.OnRoomLeft);
    assert.deepEqual(left.map((item) => item.room).sort(), ["one", "three", "two", "two"]);

    const ben = await enter(program.url, "ben", ["two"]);
    ben.ns.room("two").emit("chat", "unheard");
    ben.ns.emit("push", "done");
    await ben.messages.event("pushed");
    assert.equal((await ada.ns.ask("echo", "in order")).Body, "in order");
    assert.deepEqual(ada.messages.items, []);
  });

  it("disconnects from a namespace, and from all", limit, async () => {
    const ada = await dial(program.url, "ada", { namespaces: ["default", "second"] });
    const first = await ada.conn.connect("default");
    const second = await ada.conn.connect("second");
    await first.joinRoom("hall");
    await first.disconnect();
    assert.equal(ada.conn.namespace("default"), undefined);
    assert.equal(first.rooms.size, 0);
    assert.equal(first.emit("push", "after"), false);
    await assert.rejects(first.ask("echo", "after"));
    assert.equal((await second.ask("echo", "still here")).Body, "still here");

    await ada.conn.connect("default");
    await ada.conn.disconnectAll();
    assert.equal(ada.conn.namespace("default"), undefined);
    assert.equal(ada.conn.namespace("second"), undefined);
    assert.equal(ada.conn.isClosed(), false);
    await ada.conn.connect("default");
  });

  it("closes", limit, async () => {
    const ada = await enter(program.url, "ada", ["hall"]);
    const ben = await enter(program.url, "ben", ["hall"]);
    const asked = ada.ns.ask("silent", "");
    ada.ns.room("hall").emit("chat", "goodbye");
    ada.conn.close();
    await assert.rejects(asked);
    assert.equal(ada.conn.isClosed(), true);
    assert.equal(ada.conn.state, "closed");
    assert.equal((await ben.messages.event("chat")).body, "goodbye");
    assert.equal(ada.ns.emit("chat", "after"), false);
    await assert.rejects(ada.ns.ask("echo", "after"));
    await assert.rejects(ada.conn.connect("default"));
    assert.equal(ada.states.items.at(-1).state, "closed");
    ada.conn.close();
  });

  it("obeys requests of the server", limit, async () => {
    const question = (_, message) => stoa.reply(`${message.Body}, indeed`);
    const ada = await enter(program.url, "ada", [], {
      namespaces: ["default", "second"],
      events: { default: { question } },
    });
    const report = async (wanted, nth) => {
      ada.ns.emit("do", wanted);
      const did = (items) => items.filter((item) => item.event === "did")[nth];
      return (await ada.messages.until(did, `a report on ${wanted}`)).body;
    };
    assert.equal(await report("ask question", 0), "from the server, indeed");
    assert.equal(await report("ask unhandled", 1), "", "the handler for any event sends no body");
    assert.equal(await report("join hall", 2), "done");
    assert.ok(ada.ns.room("hall"));
    assert.equal(await report("leave hall", 3), "done");
    assert.equal(ada.ns.room("hall"), undefined);
    assert.equal(await report("connect second", 4), "done");
    assert.ok(ada.conn.namespace("second"));
    assert.equal(await report("disconnect second", 5), "done");
    assert.equal(ada.conn.namespace("second"), undefined);
    assert.match(await report("connect undeclared", 6), /bad namespace/);
    const forced = [stoa.OnRoomJoined, stoa.OnRoomLeft, stoa.OnNamespaceDisconnect];
    for (const event of forced) {
      assert.ok(ada.lifecycle.items.some((item) => item.event === event && !item.local), event);
    }
  });

  it("has names with semicolons", limit, async () => {
    const ada = await dial(program.url, "ada", { namespaces: ["n;s"] });
    const odd = await ada.conn.connect("n;s");
    const answer = await odd.ask("e;v", "b;o;d;y");
    assert.deepEqual([answer.Namespace, answer.Event, answer.Body], ["n;s", "e;v", "b;o;d;y"]);
  });

  it("sends and gets native messages", limit, async () => {
    const natives = new Inbox("native messages");
    const events = { "": { [stoa.OnNativeMessage]: (_, message) => natives.add(message) } };
    const ada = await dial(program.url, "ada", { namespaces: [""], events });
    await ada.conn.connect("");
    assert.equal(ada.conn.write({ IsNative: true, Body: "not; a message" }), true);
    const [message] = await natives.count(1);
    assert.equal(message.Body, "native:not; a message");
    assert.equal(message.IsNative, true);
  });

  it("calls authenticate before each dial", limit, async () => {
    let dials = 0;
    const options = { authenticate: () => ({ headers: { "X-User": `ada ${++dials}` } }) };
    const ada = await enter(program.url, "ada", [], { options });
    assert.equal((await ada.ns.ask("header", "X-User")).Body, "ada 1");
    ada.ns.emit("end", "1012 again");
    await ada.state("connected", 2);
    assert.equal((await ada.ns.ask("header", "X-User")).Body, "ada 2");
  });
});
