// The demo page: a client of one room. The client of /stoa.js rejoins the room after
// every loss of the connection.

import * as stoa from '/stoa.js';
import { People } from './people.js';
import { parseBody, Talk } from './talk.js';
import * as view from './view.js';

const ROUND_TRIP_EVERY = 3_000;
const TYPING_EVERY = 2_000;
const NAMES = ['Aspasia', 'Chrysippus', 'Cleanthes', 'Diotima', 'Epictetus', 'Hipparchia',
  'Hypatia', 'Musonius', 'Panaetius', 'Posidonius', 'Sappho', 'Zeno'];

const { fields, controls } = view;
const setting = (name) => document.querySelector(`meta[name="stoa-${name}"]`).content;
const namespace = setting('namespace');

// The name and room of the user, after Join was pressed: { name, room }.
let wanted;
// The client, the state of its connection, and the room while it is joined.
let conn;
let connected = false;
let room;
// The messages and the members of the wanted room.
let talk;
let people;
// The last state of the client, and the signal that ends it.
let state;
let life = new AbortController();

const handlers = {
  [namespace]: {
    joined: handle(meet),
    left: handle(({ from }) => people.areShown || talk.take({ notice: `${from} has left.` })),
    typing: handle((message) => talk.isHeld || people.types(message)),
    chat: handle((message) => {
      people.meet(message);
      people.stopsTyping(message);
      talk.take({ ...message, message: true });
    }),
    [stoa.OnPresence]: (nsConn, message) => isHere(message) && void people.change(nsConn, message),
    [stoa.OnHistoryGap]: (_, message) => isHere(message) && lack(),
    [stoa.OnHistoryRemoved]: (_, message) => isHere(message) && view.removeMessage(message.position),
    // The page selects its room, so it refuses joins by the server.
    [stoa.OnRoomJoin]: (_, message) => (message.IsLocal ? undefined : new Error('not wanted')),
    [stoa.OnRoomLeft](_, message) {
      if (message.IsLocal || message.Room !== wanted?.room) return;
      view.showNotice('The server has removed you from the room.');
      forgetRoom();
    },
  },
};

function isHere({ Room }) {
  return Room === wanted?.room;
}

function handle(take) {
  return (_, message) => {
    if (isHere(message)) take({ ...parseBody(message.Body), position: message.position });
  };
}

function meet(message) {
  people.meet(message);
  if (!people.areShown) talk.take({ notice: `${message.from} has joined.` });
}

// lack takes the notice that messages are missing: after a reconnect, or while the
// connection lasts.
function lack() {
  talk.hold();
  talk.take({ isGap: true });
  if (connected) catchUp('The latest messages');
}

// start dials until the first connection succeeds. The client then reconnects
// automatically until it is closed.
async function start() {
  life.abort();
  life = new AbortController();
  view.showState('connecting');
  try {
    conn = await stoa.dial(setting('endpoint'), handlers, { onState: changed, signal: life.signal });
    await enterNamespace();
  } catch (error) {
    console.info(`Stoa: ${error.message}`);
  }
}

function changed({ state: now, previous, delay }) {
  state = now;
  if (connected && state !== 'connected') {
    connected = false;
    if (wanted) {
      view.showNotice('The connection is lost. You can write a message, and send it when the connection is back.');
      talk.hold();
    }
    view.showConnection(undefined);
    update();
  }
  if (state === 'closed') room = undefined;
  view.showState(state, delay);
  if (state === 'connected' && previous === 'reconnecting') enterNamespace();
}

// enterNamespace runs after every connect. After a reconnect the client has already
// entered the namespace and the room, unless the server has refused them.
async function enterNamespace() {
  try {
    await conn.connect(namespace);
  } catch (error) {
    view.showProblem(`Cannot connect: ${error.message}.`);
    return;
  }
  connected = true;
  view.showConnection(conn.ID);
  update();
  measure();
  if (wanted && await tryToEnterRoom() && await enter({ isBack: true })) {
    view.showNotice(`Connected again, in ${wanted.room}.`);
  }
}

function update() {
  view.showMembership({ wanted: wanted !== undefined, connected });
}

// Joining and leaving

// enter shows the joined room with the messages that the log lacks, and names the user
// to the members. isBack is true after a reconnect. It reports whether the user is
// still in the room.
async function enter({ isBack }) {
  const entered = room;
  const self = { from: wanted.name, conn: conn.ID };
  people.be(self);
  // The members know a connection that was lost by its earlier ID.
  if (people.areShown || !isBack) entered.emit('joined', JSON.stringify(self));
  const loading = people.areShown || people.load(entered);
  const ended = await catchUp(isBack ? 'While you were disconnected' : 'Earlier messages');
  await loading;
  return ended && room === entered;
}

function catchUp(title) {
  return talk.catchUp(room, title, (event, message) => {
    if (event === 'joined' || event === 'chat') people.meet(message);
  });
}

// tryToEnterRoom reports whether the room was joined. Without a connection the
// attempt is repeated after the next connect.
async function tryToEnterRoom() {
  try {
    room = await conn.namespace(namespace).joinRoom(wanted.room);
    return true;
  } catch (error) {
    if (connected) {
      forgetRoom();
      view.showProblem(`Cannot join: ${error.message}.`);
    }
    return false;
  }
}

async function join(name, roomName) {
  view.showProblem('');
  view.clearLog();
  wanted = { name, room: roomName };
  talk = new Talk();
  people = new People((notice) => talk.take({ notice }));
  update();
  if (!connected || !await tryToEnterRoom()) return;
  history.replaceState(null, '', `#${encodeURIComponent(roomName)}`);
  document.title = `${roomName} · Stoa`;
  fields.message.focus();
  if (await enter({ isBack: false })) view.showNotice(`You are in ${roomName}.`);
}

async function leave() {
  const left = room;
  const { room: roomName } = wanted;
  sayGoodbye();
  forgetRoom();
  view.showNotice(`You have left ${roomName}.`);
  if (!left) return;
  // If the leave fails, the connection is lost and the membership has ended with it.
  await left.leave().catch(() => {});
}

// sayGoodbye notifies the members of a room that does not show them.
function sayGoodbye() {
  if (!people.areShown) room?.emit('left', JSON.stringify({ from: wanted.name }));
}

function forgetRoom() {
  talk.end();
  people.end();
  wanted = undefined;
  room = undefined;
  document.title = 'Stoa';
  update();
}

// Messages

function send() {
  const text = fields.message.value.trim();
  if (text === '' || !room || !connected) return;
  talk.send(room, { from: wanted.name, conn: conn.ID }, text);
  fields.message.value = '';
  typedAt = undefined;
}

// When the members were last notified that the user is typing.
let typedAt;

function type() {
  const now = performance.now();
  if (fields.message.value.trim() === '' || !room || !connected || now - typedAt < TYPING_EVERY) return;
  typedAt = now;
  // Only the next few seconds matter: it may be dropped, and is not kept.
  room.emit('typing', JSON.stringify({ from: wanted.name, conn: conn.ID }), { volatile: true });
}

// measure times an ask without a handler, which the node refuses immediately. After a
// timeout it makes the client check the connection.
async function measure() {
  if (!connected || document.hidden) return;
  const measured = conn.ID;
  const begin = performance.now();
  let error;
  try {
    await conn.ask({ Namespace: namespace, Event: 'round trip' }, { timeout: 10_000 });
  } catch (thrown) {
    error = thrown;
  }
  if (error === stoa.ErrTimeout) wake();
  else if (connected && conn.ID === measured) view.showRoundTrip(performance.now() - begin);
}

// wake dispatches the event of a network that has become available: the client
// reconnects immediately, or checks the connection.
function wake() {
  window.dispatchEvent(new Event('online'));
}

setInterval(measure, ROUND_TRIP_EVERY);

// Events of the user

controls.joinForm.addEventListener('submit', (event) => {
  event.preventDefault();
  if (wanted || !connected) return;
  const name = fields.name.value.trim();
  sessionStorage.setItem('name', name);
  join(name, fields.room.value.trim());
});

controls.leave.addEventListener('click', () => {
  leave();
  fields.room.focus();
});

controls.copy.addEventListener('click', async () => {
  await navigator.clipboard.writeText(location.href);
  controls.copy.textContent = 'Copied';
  setTimeout(() => { controls.copy.textContent = 'Copy link'; }, 2_000);
});

controls.messageForm.addEventListener('submit', (event) => {
  event.preventDefault();
  send();
  fields.message.focus();
});

fields.message.addEventListener('input', type);

fields.message.addEventListener('keydown', (event) => {
  // In some languages Enter also completes the composition of a character.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});

controls.retry.addEventListener('click', () => {
  if (state === 'closed') start();
  else wake();
});

// Events of the browser

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) measure();
});

addEventListener('hashchange', async () => {
  const named = roomFromAddress();
  if (named === '' || named === wanted?.room) return;
  fields.room.value = named;
  if (!wanted) return;
  const { name } = wanted;
  await leave();
  await join(name, named);
});

// Browsers cache a page for "back" only if it has no open connection.
addEventListener('pagehide', () => {
  if (wanted) sayGoodbye();
  life.abort();
});
addEventListener('pageshow', (event) => {
  if (event.persisted) start();
});

function roomFromAddress() {
  try {
    return decodeURIComponent(location.hash.slice(1)).trim();
  } catch {
    return '';
  }
}

fields.name.value = sessionStorage.getItem('name') ?? NAMES[Math.floor(Math.random() * NAMES.length)];
fields.room.value = roomFromAddress() || 'lobby';
fields.name.select();
fields.name.focus();
start();
