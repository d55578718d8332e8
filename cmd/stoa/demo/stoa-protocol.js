// The wire protocol, as much of it as this page needs. A message is one frame of
// seven fields, "token;namespace;room;event;error;no-op;body"; the body may hold
// semicolons. A token asks for an answer, which carries the same token.

const EVENT = {
  connect: '_OnNamespaceConnect',
  disconnect: '_OnNamespaceDisconnect',
  join: '_OnRoomJoin',
  leave: '_OnRoomLeave',
};

const ESCAPED_SEMICOLON = '@%!semicolon@%!';
const escapeName = (name) => name.replaceAll(';', ESCAPED_SEMICOLON);
const unescapeName = (name) => name.replaceAll(ESCAPED_SEMICOLON, ';');

export function encode({ token = '', namespace = '', room = '', event = '', isError = false, body = '' }) {
  const names = [namespace, room, event].map(escapeName);
  return [token, ...names, isError ? '1' : '0', '0', body].join(';');
}

// decode returns undefined for what is not a message; such frames are ignored.
export function decode(frame) {
  const parts = frame.split(';');
  if (parts.length < 7) return undefined;
  const [token, namespace, room, event, error, noOp] = parts;
  return {
    token,
    namespace: unescapeName(namespace),
    room: unescapeName(room),
    event: unescapeName(event),
    isError: error === '1',
    isNoOp: noOp === '1',
    body: parts.slice(6).join(';'),
  };
}

// Text and binary frames mean the same, and this page shows only text.
const decoder = new TextDecoder();
const frameText = (data) => (typeof data === 'string' ? data : decoder.decode(data));

// dial opens a connection. It resolves when the server has accepted it and told
// its ID.
export function dial(url, { timeout = 10_000 } = {}) {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    socket.binaryType = 'arraybuffer';
    const fail = (reason) => {
      clearTimeout(timer);
      reject(new Error(reason));
      socket.close();
    };
    const timer = setTimeout(fail, timeout, 'no answer');
    socket.onopen = () => socket.send('M');
    socket.onclose = () => fail('cannot connect');
    socket.onmessage = ({ data }) => {
      const text = frameText(data);
      if (text[0] !== 'A') return fail(text.slice(1) || 'refused');
      clearTimeout(timer);
      resolve(new Conn(socket, text.slice(1)));
    };
  });
}

export class Conn {
  #socket;
  #asks = new Map(); // token → { resolve, reject, timer }
  #lastToken = 0;
  #namespaces = new Map();

  constructor(socket, id) {
    this.#socket = socket;
    this.id = id;
    // closed resolves when the connection has ended, for whatever reason.
    this.closed = new Promise((resolve) => {
      socket.onclose = () => {
        this.#abandonAsks();
        resolve();
      };
    });
    socket.onmessage = ({ data }) => {
      const message = decode(frameText(data));
      if (message) this.#receive(message);
    };
  }

  get isClosed() {
    return this.#socket.readyState !== WebSocket.OPEN;
  }

  close() {
    this.#socket.close();
  }

  // connect enters a namespace and resolves with an NSConn.
  async connect(namespace) {
    await this.ask({ namespace, event: EVENT.connect });
    const entered = new NSConn(this, namespace);
    this.#namespaces.set(namespace, entered);
    return entered;
  }

  write(message) {
    if (this.isClosed) return false;
    this.#socket.send(encode(message));
    return true;
  }

  // ask sends a message with a token and resolves with the answer.
  ask(message, timeout = 10_000) {
    const token = `$${++this.#lastToken}`;
    return new Promise((resolve, reject) => {
      if (!this.write({ ...message, token })) return reject(new Error('the connection is closed'));
      const expire = () => {
        this.#asks.delete(token);
        reject(new Error('no answer'));
      };
      this.#asks.set(token, { resolve, reject, timer: setTimeout(expire, timeout) });
    });
  }

  #abandonAsks() {
    for (const { reject, timer } of this.#asks.values()) {
      clearTimeout(timer);
      reject(new Error('the connection is closed'));
    }
    this.#asks.clear();
  }

  #receive(message) {
    const ask = this.#asks.get(message.token);
    if (ask) {
      this.#asks.delete(message.token);
      clearTimeout(ask.timer);
      if (message.isError) ask.reject(new Error(message.body || 'refused'));
      else ask.resolve(message);
      return;
    }
    if (Object.values(EVENT).includes(message.event)) this.#obey(message);
    else this.#deliver(message);
  }

  // obey carries out what the server asks for by itself. This page decides where
  // it goes, so the server may take it out of somewhere but not put it in.
  #obey({ token, namespace, room, event, isNoOp }) {
    if (!token || isNoOp) return;
    const entered = this.#namespaces.get(namespace);
    if (event === EVENT.connect || event === EVENT.join) {
      this.write({ token, namespace, room, event, isError: true, body: 'not wanted' });
      return;
    }
    this.#socket.send(`${token};;;;;;`);
    if (event === EVENT.leave) entered?.forget(room);
    if (event === EVENT.disconnect) {
      this.#namespaces.delete(namespace);
      entered?.forgetAll();
    }
  }

  #deliver(message) {
    this.#namespaces.get(message.namespace)?.deliver(message);
    // Nothing here answers asks, and whoever asked should not wait for ever.
    if (message.token && !message.isError) this.write({ ...message, isError: true, body: 'unhandled event' });
  }
}

// NSConn is a connection inside a namespace.
export class NSConn {
  #rooms = new Map();

  constructor(conn, namespace) {
    this.conn = conn;
    this.namespace = namespace;
  }

  // joinRoom resolves with a Room. Its onMessage is called with every message
  // that another member emits into it, its onLeft when the server has ended the
  // membership.
  async joinRoom(name, { onMessage, onLeft }) {
    await this.conn.ask({ namespace: this.namespace, room: name, event: EVENT.join });
    const room = new Room(this, name, onMessage, onLeft);
    this.#rooms.set(name, room);
    return room;
  }

  // roundTrip resolves with the milliseconds that an ask takes. Connecting to a
  // namespace that is connected already changes nothing and is answered at once.
  async roundTrip() {
    const begin = performance.now();
    await this.conn.ask({ namespace: this.namespace, event: EVENT.connect });
    return performance.now() - begin;
  }

  async leaveRoom(name) {
    this.#rooms.delete(name);
    await this.conn.ask({ namespace: this.namespace, room: name, event: EVENT.leave });
  }

  deliver(message) {
    this.#rooms.get(message.room)?.onMessage(message);
  }

  forget(name) {
    const room = this.#rooms.get(name);
    this.#rooms.delete(name);
    room?.onLeft();
  }

  forgetAll() {
    for (const name of [...this.#rooms.keys()]) this.forget(name);
  }
}

export class Room {
  constructor(nsConn, name, onMessage, onLeft) {
    this.nsConn = nsConn;
    this.name = name;
    this.onMessage = onMessage;
    this.onLeft = onLeft;
  }

  // emit reports whether the message could be sent.
  emit(event, body) {
    const { conn, namespace } = this.nsConn;
    return conn.write({ namespace, room: this.name, event, body });
  }

  leave() {
    return this.nsConn.leaveRoom(this.name);
  }
}
