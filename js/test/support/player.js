// Replays a recording with the client in the place of the recorded one. The
// client receives the frames of the server; its own frames must equal the
// recorded ones, except for the tokens that it makes. The recorded frames also
// show the calls of the recorded application, so the recording is the script.
import assert from "node:assert/strict";
import { fakeClock, fakeWebSocket, settle } from "./fake.js";
import { stoa } from "./stoa.js";

const semicolon = 59;

/** The seven fields of a message as bytes, or undefined. */
function split(payload) {
  const fields = [];
  let rest = Buffer.from(payload);
  for (let i = 0; i < 6; i++) {
    const end = rest.indexOf(semicolon);
    if (end < 0) return undefined;
    fields.push(rest.subarray(0, end).toString());
    rest = rest.subarray(end + 1);
  }
  const unescape = (name) => name.replaceAll("@%!semicolon@%!", ";");
  const [token, namespace, room, event, error] = fields;
  return {
    token,
    namespace: unescape(namespace),
    room: unescape(room),
    event: unescape(event),
    isError: error === "1",
    body: rest,
  };
}

const isLeave = (event) => event === stoa.OnRoomLeave || event === stoa.OnRoomLeft;

/**
 * Formats a callback. It omits the bodies of system events, which differ
 * between the recorded clients, and whether leaving is local, which neffos.js
 * reports wrongly.
 */
export function normal({ event, namespace, room, body = "", flags = [] }) {
  const shown = stoa.isSystemEvent(event) ? "" : body;
  const kept = flags.filter((flag) => flag === "forced" || (flag === "local" && !isLeave(event)));
  return [event, ...[namespace, room, shown].map((text) => JSON.stringify(text)), ...kept.sort().reverse()].join(" ");
}

export class Player {
  log = [];
  bound = new Map();
  ends = new Map();

  constructor(conversation, difference) {
    this.conversation = conversation;
    this.difference = difference;
    this.byClient = conversation.frames.filter(({ from, op }) => from === "client" && ["text", "binary"].includes(op));
    this.recordsItsEnd = (conversation.clientCallbacks ?? []).some(
      ({ event, flags }) => event === stoa.OnNamespaceDisconnect && flags?.includes("forced"),
    );
  }

  async play() {
    for (const { name, method, path } of this.conversation.connections) {
      if (method === "GET") this.ends.set(name, await this.open(name, path));
    }
    for (const [index, frame] of this.conversation.frames.entries()) {
      await this.step(index, frame);
      await settle();
    }
    for (const [name, end] of this.ends) {
      const want = this.difference?.frames?.[name];
      if (want) assert.deepEqual(end.all, want, `${name}: ${this.difference.reason}`);
      else assert.deepEqual(end.queue.map(String), [], `${name} sent too much`);
    }
    this.checkCallbacks();
  }

  async open(name, path) {
    const WebSocket = fakeWebSocket();
    const end = { name, path, queue: [], all: [], conn: undefined };
    const dialed = stoa.dial(`ws://server${path}`, this.handlers(name, path), { WebSocket, reconnect: false, clock: fakeClock() });
    dialed.then((conn) => (end.conn = conn), (error) => (end.refused = error));
    await settle();
    end.socket = WebSocket.last;
    end.socket.send = (frame) => {
      // The recorded clients name no features.
      const payload = frame === "M positions volatile" ? "M" : frame;
      end.queue.push(payload);
      end.all.push(typeof payload === "string" ? payload : `binary ${Buffer.from(payload)}`);
    };
    end.socket.open();
    return end;
  }

  /** The recorded client's answer to a token. */
  recorded(name, token) {
    if (!token) return undefined;
    return this.byClient
      .filter(({ conn }) => conn === name)
      .map(({ payload }) => split(payload))
      .find((fields) => fields?.token === token);
  }

  handlers(name, path) {
    const table = {};
    for (const { payload } of this.conversation.frames) {
      const fields = split(payload);
      if (!fields || (!fields.event && !fields.namespace)) continue;
      const answer = this.recorded(name, fields.token);
      if (fields.event === stoa.OnNamespaceConnect && answer?.body.toString() === "bad namespace") continue;
      if (fields.namespace !== "unknown") table[fields.namespace] = this.events(name);
    }
    if (path.startsWith("/mixed")) table[""] = this.events(name);
    return table;
  }

  events(name) {
    const handled = new Set((this.conversation.clientCallbacks ?? []).map(({ event }) => event));
    if (this.conversation.id === "native-js-receive") handled.add(stoa.OnNativeMessage);
    for (const event of ["Connect", "Connected", "Disconnect"]) handled.add(`_OnNamespace${event}`);
    for (const event of ["Join", "Joined", "Leave", "Left"]) handled.add(`_OnRoom${event}`);
    const run = (ns, m) => {
      const line = {
        event: m.Event,
        namespace: ns.namespace,
        room: m.Room,
        body: typeof m.Body === "string" && !m.SetBinary ? m.Body : "",
        flags: [m.IsLocal && "local", m.IsForced && "forced"],
      };
      // neffos.js calls no handler for connects of the server.
      const unasked = m.Event === stoa.OnNamespaceConnect && !m.IsLocal;
      if (!unasked || !this.conversation.client.startsWith("neffos.js")) this.log.push(normal(line));
      const answer = this.recorded(name, m.wait);
      if (answer?.isError) return new Error(answer.body.toString());
      return answer && !stoa.isSystemEvent(m.Event) ? stoa.reply(m.SetBinary ? answer.body : answer.body.toString()) : undefined;
    };
    return Object.fromEntries([...handled].filter(Boolean).map((event) => [event, run]));
  }

  async step(index, frame) {
    const end = this.ends.get(frame.conn);
    if (["ping", "pong"].includes(frame.op)) return;
    if (["close", "tcp-fin", "tcp-rst"].includes(frame.op)) {
      const before = [...this.log];
      if (frame.from === "client") end.conn?.close();
      else end.socket.drop(frame.code ?? 1006, frame.reason ?? "");
      await settle();
      if (frame.from === "client" && !this.recordsItsEnd) this.log = before;
      return;
    }
    if (frame.from === "server") return this.receive(end, frame);
    if (this.difference?.frames) return this.playFreely(end, frame);
    if (!end.queue.length) await this.initiate(end, frame);
    const got = end.queue.shift();
    assert.ok(got !== undefined, `frame ${index}: nothing was sent, want ${frame.payload}`);
    assert.ok(this.matches(frame, got), `frame ${index}: sent ${got}, want ${frame.op} ${frame.payload}`);
  }

  /** Plays a frame of a known difference; play compares all at the end. */
  async playFreely(end, frame) {
    const at = end.queue.findIndex((got) => this.matches(frame, got));
    if (at >= 0) return void end.queue.splice(0, at + 1);
    end.queue = [];
    await this.initiate(end, frame);
    end.queue = [];
  }

  receive(end, frame) {
    // A WebSocket delivers whole messages only.
    end.partial = Buffer.concat([end.partial ?? Buffer.alloc(0), frame.payload]);
    if (frame.fin === false) return;
    const whole = end.partial;
    end.partial = undefined;
    const text = whole.toString("latin1");
    const token = text.split(";", 1)[0];
    const bound = this.bound.get(token);
    const payload = bound ? Buffer.from(bound + text.slice(token.length), "latin1") : whole;
    end.socket.receive(frame.op === "binary" ? payload : payload.toString());
  }

  /** Compares a frame with the recorded one; binds a token made by this end. */
  matches(frame, got) {
    if ((frame.op === "binary") !== (typeof got !== "string")) return false;
    const bytes = Buffer.from(got);
    if (bytes.equals(frame.payload)) return true;
    const [wantToken, token] = [frame.payload, bytes].map((payload) => payload.toString("latin1").split(";", 1)[0]);
    if (!token || !this.madeHere(wantToken)) return false;
    if (!bytes.subarray(token.length).equals(frame.payload.subarray(wantToken.length))) return false;
    this.bound.set(wantToken, token);
    return true;
  }

  madeHere(token) {
    return this.conversation.placeholders.some(({ madeBy, value }) => madeBy === "client" && value === token);
  }

  /** Makes the call that led to a recorded frame which is not an answer. */
  async initiate(end, frame) {
    const fields = split(frame.payload);
    const { conn } = end;
    const SetBinary = frame.op === "binary";
    if (!fields) {
      if (conn && end.path.startsWith("/mixed")) conn.write({ IsNative: true, Body: frame.payload.toString() });
      return;
    }
    if (!conn || fields.isError || (fields.token && (!fields.event || !this.madeHere(fields.token)))) return;
    const promise = this.act(conn, fields, SetBinary);
    promise?.catch?.(() => undefined);
    await settle();
    if (fields.token && end.queue.length) this.bound.set(fields.token, Buffer.from(end.queue[0]).toString().split(";", 1)[0]);
  }

  act(conn, { token, namespace, room, event, body }, SetBinary) {
    if (event === stoa.OnNamespaceConnect) return conn.connect(namespace);
    const ns = conn.namespace(namespace);
    assert.ok(ns, `namespace ${namespace} is not connected`);
    if (event === stoa.OnNamespaceDisconnect) return ns.disconnect();
    if (event === stoa.OnRoomJoin) return ns.joinRoom(room);
    if (isLeave(event)) return ns.room(room).leave();
    const m = { Namespace: namespace, Room: room, Event: event, Body: SetBinary ? new Uint8Array(body) : body.toString(), SetBinary };
    return token ? conn.ask(m) : conn.write(m);
  }

  checkCallbacks() {
    const recorded = this.conversation.clientCallbacks;
    const want =
      this.difference?.callbacks ??
      recorded
        ?.filter(({ event }) => event)
        .map((line) => normal({ ...line, body: line.flags?.includes("binary") || line.body.includes("(60000 bytes)") ? "" : line.body }));
    if (want) assert.deepEqual(this.log, want);
  }
}
