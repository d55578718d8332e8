import assert from "node:assert/strict";
import { after, before, it } from "node:test";

import * as neffos from "neffos.js";

import { dial, enter, namespace } from "../support/client.js";
import { eachTransport, limit, startProgram } from "../support/program.js";

const burst = 300;

eachTransport("rooms of neffos.js", (args) => {
  let program;
  let people = [];

  before(async () => {
    program = await startProgram({ args });
  });
  after(async () => {
    for (const person of people) person.close();
    await program.kill();
  });

  async function group(names, rooms) {
    const members = await Promise.all(names.map((name) => enter(program.url, name, rooms)));
    people = people.concat(members);
    return members;
  }

  it("carry hundreds of messages between three people in one order", limit, async () => {
    const members = await group(["ada", "ben", "cai"], ["agora"]);
    const [listener] = await group(["listener"], ["agora"]);
    for (let number = 0; number < burst; number++) {
      for (const person of members) {
        assert.equal(person.ns.room("agora").emit("chat", `${person.name};${number}`), true);
      }
    }

    const everything = await listener.messages.count(members.length * burst);
    const order = everything.map((message) => message.body);
    assert.equal(order.length, members.length * burst);
    for (const person of members) {
      const own = (body) => body.startsWith(`${person.name};`);
      assert.deepEqual(
        order.filter(own),
        Array.from({ length: burst }, (_, number) => `${person.name};${number}`),
        `what ${person.name} sent, in the order sent`,
      );
      const received = await person.messages.count((members.length - 1) * burst);
      assert.deepEqual(
        received.map((message) => message.body),
        order.filter((body) => !own(body)),
        `what ${person.name} received, in the room's order and without the own messages`,
      );
    }
  });

  it("keep the order of one sender over several rooms' bursts", limit, async () => {
    const [sender, receiver] = await group(["writer", "reader"], ["one", "two", "three"]);
    for (let number = 0; number < burst; number++) {
      for (const room of ["one", "two", "three"]) {
        sender.ns.room(room).emit("chat", String(number));
      }
    }
    const received = await receiver.messages.count(3 * burst);
    for (const room of ["one", "two", "three"]) {
      const bodies = received.filter((item) => item.room === room).map((item) => Number(item.body));
      assert.deepEqual(bodies, Array.from({ length: burst }, (_, number) => number));
    }
  });

  it("answer a join and know their members", limit, async () => {
    const [person] = await group(["visitor"], []);
    const room = await person.ns.joinRoom("garden");
    assert.equal(room.name, "garden");
    assert.equal(await person.ns.joinRoom("garden"), room);
    assert.equal(person.ns.room("garden"), room);
    assert.equal(person.joins("garden"), 1);
  });

  it("deliver to a client as soon as its join is answered", limit, async () => {
    const [sender] = await group(["sender"], ["gate"]);
    for (let round = 0; round < 20; round++) {
      const [late] = await group([`late ${round}`], ["gate"]);
      sender.ns.room("gate").emit("chat", `round ${round}`);
      const [message] = await late.messages.count(1);
      assert.equal(message.body, `round ${round}`);
      late.close();
    }
  });

  it("are left by leave", limit, async () => {
    const [sender, leaver] = await group(["sender", "leaver"], ["porch", "yard"]);
    const room = leaver.ns.room("porch");
    assert.equal(await room.leave(), null);
    assert.equal(leaver.ns.room("porch"), undefined);
    assert.equal((await room.leave()).message, "bad room", "the second leave");
    assert.equal(room.emit("chat", "from outside"), false);
    sender.ns.room("porch").emit("chat", "not for the leaver");
    sender.ns.room("yard").emit("chat", "for both");
    const [message] = await leaver.messages.count(1);
    assert.equal(message.body, "for both");

    await leaver.ns.joinRoom("porch");
    sender.ns.room("porch").emit("chat", "back again");
    assert.equal((await leaver.messages.count(2))[1].body, "back again");
  });

  // neffos row 22: what neffos.js sends for leaveAll is a leave.
  it("are left by leaveAll", limit, async () => {
    const [sender, leaver] = await group(["sender", "leaver"], ["north", "south"]);
    assert.equal(await leaver.ns.leaveAll(), null);
    // neffos.js does not wait for the answers of leaveAll. The answer to an ask shows
    // that the server has handled the earlier messages.
    await assert.rejects(leaver.ns.ask("unhandled", ""));
    await leaver.ns.joinRoom("east");
    await sender.ns.joinRoom("east");
    sender.ns.room("north").emit("chat", "not for the leaver");
    sender.ns.room("south").emit("chat", "not for the leaver");
    sender.ns.room("east").emit("chat", "for both");
    const [message] = await leaver.messages.count(1);
    assert.equal(message.body, "for both");
  });

  it("do not relay emits of clients outside", limit, async () => {
    const [member, guest] = await group(["member", "guest"], ["lobby"]);
    await member.ns.joinRoom("vault");
    assert.equal(guest.emitUnchecked("vault", "chat", "through the wall"), true);
    guest.ns.room("lobby").emit("chat", "in the lobby");
    const [message] = await member.messages.count(1);
    assert.equal(message.body, "in the lobby");
  });

  it("answer an ask of a client outside with an error", limit, async () => {
    const [member, guest] = await group(["member", "guest"], ["study"]);
    await member.ns.joinRoom("safe");
    guest.ns.rooms.set("safe", new neffos.Room(guest.ns, "safe"));
    const message = new neffos.Message();
    Object.assign(message, { Namespace: namespace, Room: "safe", Event: "open", Body: "" });
    await assert.rejects(guest.conn.ask(message), { message: "bad room" });
  });

  it("are not needed to reach the whole namespace", limit, async () => {
    const [sender, receiver] = await group(["sender", "receiver"], []);
    sender.ns.emit("news", "for all");
    const message = await receiver.messages.event("news");
    assert.equal(message.body, "for all");
    assert.equal(message.room, "");
    assert.ok(sender.messages.items.every((item) => item.event !== "news"), "but the sender");
  });

  it("are bounded in number, and the connection outlives the bound", limit, async () => {
    const [collector, other] = await group(["collector", "other"], ["meeting"]);
    const joins = Array.from({ length: 200 }, (_, number) =>
      collector.ns.joinRoom(`room ${number}`),
    );
    const results = await Promise.allSettled(joins);
    const refused = results.filter((result) => result.status === "rejected");
    assert.equal(refused.length, 200 - 127, "128 rooms of one connection are the default");
    assert.ok(refused.every((result) => result.reason.message === "too many rooms"));
    other.ns.room("meeting").emit("chat", "still heard");
    assert.equal((await collector.messages.count(1))[0].body, "still heard");
  });

  it("refuse a name that is too long", limit, async () => {
    const [person] = await group(["wordy"], []);
    await assert.rejects(person.ns.joinRoom("x".repeat(5000)), { message: "name too long" });
    assert.equal((await person.ns.joinRoom("short")).name, "short");
  });
});

eachTransport("asks of neffos.js", (args) => {
  let program;
  let person;

  before(async () => {
    program = await startProgram({ args });
    person = await enter(program.url, "asker", ["hall"]);
  });
  after(async () => {
    person?.close();
    await program.kill();
  });

  it("get an error at once for an unhandled event", limit, async () => {
    await assert.rejects(person.ns.ask("unhandled", "body; with ;"), {
      message: "unhandled event",
    });
  });

  it("get each its own answer when hundreds are in flight", limit, async () => {
    const results = await Promise.allSettled(
      Array.from({ length: burst }, (_, number) => person.ns.ask(`event ${number}`, "")),
    );
    assert.ok(results.every((result) => result.reason?.message === "unhandled event"));
  });

  it("get an error for a namespace that is not connected", limit, async () => {
    const stranger = await dial(program.url, "stranger");
    // neffos.js sends such an ask only if it believes that the namespace is connected.
    stranger.conn.connectedNamespaces.set(
      namespace,
      new neffos.NSConn(stranger.conn, namespace, new Map()),
    );
    const message = new neffos.Message();
    Object.assign(message, { Namespace: namespace, Event: "chat", Body: "" });
    await assert.rejects(stranger.conn.ask(message), { message: "bad namespace" });
    stranger.close();
  });

  it("in a room fail at once without another member", limit, async () => {
    await assert.rejects(person.conn.ask(inRoom("hall", "sum", "")), {
      message: "nobody there",
    });
  });

  it("in a room are answered by another client there", limit, async () => {
    const service = await neffos.dial(program.url, {
      [namespace]: {
        sum: (ns, message) => neffos.reply(`the sum of ${message.Body}`),
        fail: () => new Error("cannot do that"),
      },
    });
    const ns = await service.connect(namespace);
    await ns.joinRoom("hall");
    const answer = await person.conn.ask(inRoom("hall", "sum", "1 and 1"));
    assert.equal(answer.Body, "the sum of 1 and 1");
    await assert.rejects(person.conn.ask(inRoom("hall", "fail", "")), {
      message: "cannot do that",
    });
    service.close();
  });
});

/** A message to a room; neffos.js has no method for an ask in a room. */
function inRoom(room, event, body) {
  const message = new neffos.Message();
  return Object.assign(message, { Namespace: namespace, Room: room, Event: event, Body: body });
}
