// A program for neffos.js behaves the same after a change of its import.
import assert from "node:assert/strict";
import { after, before, it } from "node:test";

import * as stoa from "stoa-client";

import { Inbox, neffos as theirs } from "../../test/compat/js/support/client.js";
import { eachPeer, limit } from "./support/peers.js";

/** The program, with its import as a parameter. Returns the printed lines. */
async function program(neffos, url) {
  const printed = new Inbox("the output of the program");
  const print = (...words) => void printed.add(words.join(" "));
  const events = {
    _OnNamespaceConnected(nsConn, msg) {
      print("connected to", msg.Namespace, nsConn.conn.wasReconnected());
      nsConn.emit("push", "Hello from client side!");
    },
    _OnNamespaceDisconnect(_, msg) {
      print("disconnected from", msg.Namespace);
    },
    _OnRoomJoin: (_, msg) => (msg.Room === "forbidden" ? new Error("I do not want to") : null),
    _OnRoomJoined: (nsConn, msg) => print("joined", msg.Room, nsConn.room(msg.Room) !== null),
    _OnRoomLeft: (_, msg) => print("left", msg.Room),
    pushed: (_, msg) => print("pushed", msg.Body),
    chat: (_, msg) => print("chat", msg.Room, msg.Body),
    question: (_, msg) => neffos.reply(`${msg.Body}?`),
    trouble: () => new Error("no answer"),
    did: (_, msg) => print("did", msg.Body),
  };
  const options = { headers: { "X-Username": "Ada" }, reconnect: 2000 };
  const conn = await neffos.dial(url, { default: events }, options);
  print("an ID:", conn.ID.length > 0);
  const nsConn = await conn.connect("default");
  const room = await nsConn.joinRoom("room1");
  print(room.name, nsConn.room("room1") === room, nsConn.rooms.size);
  try {
    await nsConn.joinRoom("locked");
  } catch (error) {
    print(error);
  }
  try {
    await conn.connect("undeclared");
  } catch (error) {
    print(error.message);
  }
  const answer = await nsConn.ask("echo", "are you there");
  print(answer.Event, answer.Body, answer.isError);
  try {
    await nsConn.ask("fail", "");
  } catch (error) {
    print(error.message);
  }
  print("header", (await nsConn.ask("header", "X-Username")).Body);
  const orders = ["ask question", "ask trouble", "join room2", "join forbidden", "leave room2"];
  for (const [index, order] of orders.entries()) {
    nsConn.emit("do", order);
    await printed.until((lines) => lines.filter((line) => line.startsWith("did")).length > index, order);
  }
  const message = new neffos.Message();
  Object.assign(message, { Namespace: "default", Event: "push", Body: "written" });
  print(conn.write(message));
  await printed.until((lines) => lines.includes("pushed written"), "the message");
  await room.leave();
  await nsConn.disconnect();
  print(nsConn.emit("push", "late"), conn.namespace("default"), conn.isClosed());
  conn.close();
  print(conn.isClosed());
  return printed.items;
}

eachPeer("a program for neffos.js", ({ start }) => {
  let server;
  before(async () => {
    server = await start();
  });
  after(() => server.kill());

  it("does the same with stoa-client", limit, async () => {
    const expected = await program(theirs, server.url);
    assert.ok(expected.length > 20, expected.join("\n"));
    // The errors of stoa-client have their own name.
    const printed = (await program(stoa, server.url)).map((line) => line.replace("StoaError", "Error"));
    assert.deepEqual(printed, expected);
  });
});
