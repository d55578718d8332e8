// The build under test is the one for Node.js, unless STOA_BUILD names another.
const build = process.env.STOA_BUILD ?? "esm/index.js";
const stoa = await import(new URL(`../../dist/${build}`, import.meta.url));

export { stoa };

import { fakeClock, fakeWebSocket, settle } from "./fake.js";

/** Dials a fake server that accepts with an ID, and connects namespaces. */
export async function connected(handlers = { default: {} }, options = {}, id = "first") {
  const WebSocket = fakeWebSocket();
  const clock = fakeClock();
  const states = [];
  const dialed = stoa.dial("ws://server/", handlers, { WebSocket, clock, idleTimeout: 0, onState: (t) => states.push(t), ...options });
  await settle();
  WebSocket.last.accept(id);
  const conn = await dialed;
  WebSocket.last.take();
  const ns = {};
  for (const name of handlers instanceof Map ? handlers.keys() : Object.keys(handlers)) {
    const connecting = conn.connect(name);
    await settle();
    WebSocket.last.answerAll();
    ns[name] = await connecting;
  }
  return { WebSocket, clock, states, conn, ns, default: ns.default, socket: WebSocket.last };
}

/** Joins a room of the fake server. */
export async function join(ns, name, socket) {
  const joining = ns.joinRoom(name);
  socket.answerAll();
  return joining;
}

/** Returns the error of a rejected promise. */
export async function rejection(promise) {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("the promise has resolved, want a rejection");
}
