// Code that the compiler must accept or reject; it never runs.
import { dial, reply, type Conn, type Message } from "../../dist/esm/index.js";

interface MyEvents {
  default: {
    chat: string;
    move: { x: number; y: number };
    picture: Uint8Array;
    ping: undefined;
    sum(numbers: number[]): number;
    now(): string;
  };
  admin: { kick: { id: string } };
}

export async function typed(): Promise<void> {
  const conn = await dial<MyEvents>("ws://server", {
    default: {
      chat: (nsConn, message) => {
        const text: string = message.Body;
        nsConn.emit("chat", text);
        // @ts-expect-error -- the namespace has no such event
        nsConn.emit("shout", text);
      },
      move(_nsConn, message) {
        const { x }: { x: number } = message.unmarshal();
        const raw: string = message.Body;
        void [x, raw];
      },
      picture: (_nsConn, message) => Promise.resolve(void new DataView(message.Body.buffer)),
      sum: (_nsConn, message) => reply(message.unmarshal().length),
      _OnNamespaceConnected: (nsConn) => nsConn.emit("ping") ? undefined : new Error("no"),
      _OnAnyEvent: () => undefined,
    },
    admin: {},
  });
  await dial<MyEvents>("ws://server", {
    // @ts-expect-error -- an answer of the wrong type
    default: { sum: () => reply("three") },
  });
  // @ts-expect-error -- no such namespace
  await conn.connect("nowhere");
  const ns = await conn.connect("default");
  ns.emit("chat", "hello");
  ns.emit("move", { x: 1, y: 2 });
  ns.emit("move", { x: 1, y: 2 }, { volatile: true });
  ns.emit("ping");
  // @ts-expect-error -- not a string
  ns.emit("chat", 1);
  // @ts-expect-error -- no body
  ns.emit("chat");
  // @ts-expect-error -- y is missing
  ns.emit("move", { x: 1 });
  // @ts-expect-error -- an event of another namespace
  ns.emit("kick", { id: "1" });

  const answer = await ns.ask("sum", [1, 2], { timeout: 1000, signal: AbortSignal.timeout(5) });
  const total: number = answer.unmarshal();
  const text: string = (await ns.ask("now")).Body;
  // @ts-expect-error -- not numbers
  await ns.ask("sum", ["1"]);

  const room = await ns.joinRoom("lobby");
  room.emit("chat", "hello");
  // @ts-expect-error -- not a string
  room.emit("chat", { text: "hello" });
  await room.leave();
  for await (const message of ns.events("move")) {
    const y: number = message.unmarshal().y;
    void y;
  }
  const back: Conn<MyEvents> = conn;
  const stop = back.on("state", ({ state, attempt, delay }) => void [state, attempt, delay]);
  stop();
  // @ts-expect-error -- no such thing to listen to
  back.on("stat", () => undefined);
  void [total, text];
}

export async function untyped(): Promise<void> {
  const conn = await dial("ws://server", {
    default: {
      chat(nsConn, message) {
        nsConn.emit("anything", message.Body);
        return reply("");
      },
      _OnNamespaceDisconnect: (_nsConn, message: Message) => message.Err,
    },
    other: new Map([["e", () => undefined]]),
  });
  const ns = await conn.connect("default");
  ns.emit("chat", "hello");
  ns.emit("chat", { any: "thing" });
  ns.emit("chat");
  // @ts-expect-error -- options are checked all the same
  await ns.ask("chat", "", { timeout: "1s" });
  await dial("ws://server", { chat: (_nsConn, message) => void message.Body });
  // @ts-expect-error -- a policy that does not exist
  await dial("ws://server", {}, { buffer: { policy: "kep" } });
}
