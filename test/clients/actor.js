// A client of stoa-client that plays the role in the argument, as goActor does, and prints
// the results, the states and the calls of its handlers.
import { dial, ErrClosed, ErrDisconnected, ErrUnauthorized, Roster } from "../../js/dist/esm/index.js";

const role = JSON.parse(process.argv[2]);
const slow = 1000;
const shown = { results: [], states: [], calls: [] };
const waiting = new Set();
let awaited = 0;
let isClosing = false;

function note(list, line) {
  list.push(line.trim());
  for (const look of waiting) look();
}

function describe(error) {
  if (!error) return "";
  if (error === ErrClosed) return "closed";
  if (error === ErrDisconnected) return "connection lost";
  if (error.code === "gave_up") return "gave up";
  if (error.code === "unconfirmed") return `maybe published: ${describe(error.cause)}`;
  if (error.code === "not_published") return `not published: ${describe(error.cause)}`;
  const isClose = error.code === "closed" || (["unauthorized", "forbidden"].includes(error.code) && error.message === "why");
  return isClose ? `closed by the server: ${error.message}` : error.message;
}

const ending = ({ IsForced, Err }) => `${IsForced ? " forced" : ""} ${describe(Err)}`.trimEnd();

function handlers(name) {
  return {
    _OnNamespaceConnected: () => note(shown.calls, `connected ${name}`),
    _OnNamespaceDisconnect: (ns, m) => note(shown.calls, `disconnected ${name}${ending(m)}`),
    _OnRoomJoined: (ns, m) => note(shown.calls, `joined ${name}/${m.Room}`),
    _OnRoomLeft: (ns, m) => note(shown.calls, `left ${name}/${m.Room}${ending(m)}`),
    _OnHistoryGap: (ns, m) => note(shown.calls, `gap ${name}/${m.Room} ${m.position}`),
    _OnHistoryRemoved: (ns, m) => note(shown.calls, `removed ${name}/${m.Room} ${m.position}`),
    ...(role.presence && {
      _OnPresence: (ns, m) => {
        const { joined = [], left = [], count, stale = false } = m.unmarshal();
        note(shown.calls, `presence ${name}/${m.Room} joined ${joined.length} left ${left.length} of ${count} stale ${stale}`);
      },
    }),
    news: (ns, m) => note(shown.calls, `news ${m.Room} ${m.Body} ${m.position}`),
    fail: (ns, m) => new Error(m.Body),
    nothing: () => undefined,
  };
}

function turned({ state, previous, delay, code, reason, error, attempt }) {
  if (state === previous && delay < slow) return;
  if (state === "closed") {
    const cause = error ? describe(error) : `closed by the server: ${reason || `closed with code ${code}`}`;
    note(shown.states, `closed ${isClosing ? "closed" : cause}`);
  } else if (state === "connected") note(shown.states, state);
  else {
    const loss = state === previous ? "" : ` ${code} ${reason} attempt ${attempt}`;
    note(shown.states, `${state}${loss}${delay >= slow ? " put off" : ""}`);
  }
}

const some = (value) => value || undefined;
const options = {
  reconnect: { base: some(role.base), cap: some(role.cap), attempts: some(role.attempts) },
  buffer: { policy: some(role.policy), messages: some(role.messages) },
  dialTimeout: some(role.dialTimeout),
  askTimeout: some(role.askTimeout),
  maxNamespaces: some(role.maxNamespaces),
  maxRooms: some(role.maxRooms),
  onState: turned,
};
let tokens = 0;
if (role.tokens) {
  options.authenticate = () => {
    if (++tokens > role.tokens) throw ErrUnauthorized;
    return `token ${tokens}`;
  };
}

function renewed({ error, delay }) {
  if (error) note(shown.states, `not renewed ${describe(error)}${delay ? "" : " finally"}`);
  else note(shown.states, "renewed");
}

const result = (what, promise) =>
  promise.then(
    () => note(shown.results, `${what}: ok`),
    (error) => note(shown.results, `${what}: ${describe(error)}`),
  );

const asks = [];
let conn;

const acts = {
  connect: (namespace) => result("connect", conn.connect(namespace)),
  disconnect: (namespace) => result("disconnect", conn.namespace(namespace).disconnect()),
  join: (namespace, room) => result("join", conn.namespace(namespace).joinRoom(room)),
  recover: (namespace, room, wish) => {
    const [history, position] = wish.split("@");
    return result("recover", conn.namespace(namespace).joinRoom(room, { history: +history, position }));
  },
  place: (namespace, name) => {
    const room = conn.namespace(namespace).room(name);
    note(shown.results, `place: recovered ${room.recovered} at ${room.position}`);
  },
  history: async (namespace, room, limit) => {
    const page = await conn.namespace(namespace).room(room).history({ limit: +limit, before: "p9", oldest: true });
    for (const { position, time, event, body, user = "" } of page.entries) {
      note(shown.results, `entry: ${position} ${time} ${event} ${typeof body === "string" ? "text" : "binary"} ${body.length} ${user}`);
    }
    note(shown.results, `history: more ${page.more} found ${page.found}`);
  },
  roster: async (namespace, name) => {
    const roster = new Roster();
    await result("roster", roster.load(conn.namespace(namespace).room(name)));
    for (const member of roster.members.sort((a, b) => (a.conn ? 1 : 0) - (b.conn ? 1 : 0))) {
      const info = member.info ? JSON.stringify(member.info) : "";
      note(shown.results, `member: ${member.user ?? member.conn} ${member.conns} ${info} of ${roster.count}`);
    }
  },
  publish: (namespace, room, id) =>
    conn
      .namespace(namespace)
      .room(room)
      .publish("say", "x", { id })
      .then(
        (position) => note(shown.results, `publish: ${position}`),
        (error) => note(shown.results, `publish: ${describe(error)}`),
      ),
  offer: (...words) => void asks.push(acts.publish(...words)),
  leave: (namespace, room) => result("leave", conn.namespace(namespace).room(room).leave()),
  emit: (Namespace, Event, Body) => note(shown.results, `emit: ${conn.write({ Namespace, Event, Body })}`),
  room: (Namespace, Room, Event) => note(shown.results, `room: ${conn.write({ Namespace, Room, Event })}`),
  volatile: (namespace, room, event) =>
    note(shown.results, `volatile: ${conn.namespace(namespace).room(room).emit(event, "x", { volatile: true })}`),
  big: (Namespace, size) =>
    note(shown.results, `big: ${conn.write({ Namespace, Event: "big", Body: "x".repeat(size - ";a;;big;0;0;".length) })}`),
  ask: (Namespace, Event, Body) =>
    conn.ask({ Namespace, Event, Body }).then(
      (answer) => note(shown.results, `ask: ${answer.Body}`),
      (error) => note(shown.results, `ask: ${describe(error)}`),
    ),
  start: (...words) => void asks.push(acts.ask(...words)),
  await: (...words) => (words[0] === "ask" ? Promise.all(asks) : awaitState(words.join(" ").trim())),
  close: () => {
    isClosing = true;
    conn.close();
  },
};

function awaitState(state) {
  return new Promise((resolve) => {
    const look = () => {
      while (awaited < shown.states.length) {
        if (!shown.states[awaited++].startsWith(state)) continue;
        waiting.delete(look);
        return resolve();
      }
    };
    waiting.add(look);
    look();
  });
}

for (const act of role.acts) {
  const [name, first, second, ...rest] = act.split(" ");
  if (name === "dial") {
    const dialing = dial(role.url, { a: handlers("a"), b: handlers("b") }, options);
    await result(
      "dial",
      dialing.then((made) => {
        conn = made;
        conn.on("renewal", renewed);
      }),
    );
  } else if (conn) await acts[name](first, second, rest.join(" "));
}
// A handler that the last act has called may call the next one in another turn.
await new Promise(setImmediate);
process.stdout.write(JSON.stringify(shown));
process.exit();
