// The demo page: a client of one room. The client of /stoa.js rejoins the room after
// every loss of the connection.

import * as stoa from '/stoa.js';
import * as view from './view.js';

const ROUND_TRIP_EVERY = 3_000;
const LONGEST_NAME = 32;
const LONGEST_TEXT = 4_000;
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
// The last state of the client, and the signal that ends it.
let state;
let life = new AbortController();

const handlers = {
  [namespace]: {
    joined: (_, message) => receive(message, ({ from }) => view.showNotice(`${from} has joined.`)),
    left: (_, message) => receive(message, ({ from }) => view.showNotice(`${from} has left.`)),
    chat: (_, message) => receive(message, view.showMessage),
    // The page selects its room, so it refuses joins by the server.
    [stoa.OnRoomJoin]: (_, message) => (message.IsLocal ? undefined : new Error('not wanted')),
    [stoa.OnRoomLeft](_, message) {
      if (message.IsLocal || message.Room !== wanted?.room) return;
      view.showNotice('The server has removed you from the room.');
      forgetRoom();
    },
  },
};

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
    if (wanted) view.showNotice('The connection is lost.');
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
  if (wanted && await tryToEnterRoom()) view.showNotice(`Connected again, in ${wanted.room}.`);
  measure();
}

function update() {
  view.showMembership({ wanted: wanted !== undefined, connected });
}

// Joining and leaving

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
  wanted = { name, room: roomName };
  update();
  if (!connected || !await tryToEnterRoom()) return;
  history.replaceState(null, '', `#${encodeURIComponent(roomName)}`);
  document.title = `${roomName} · Stoa`;
  room.emit('joined', JSON.stringify({ from: name }));
  view.showNotice(`You are in ${roomName}.`);
  fields.message.focus();
}

async function leave() {
  const left = room;
  const { name, room: roomName } = wanted;
  forgetRoom();
  view.showNotice(`You have left ${roomName}.`);
  if (!left) return;
  left.emit('left', JSON.stringify({ from: name }));
  // If the leave fails, the connection is lost and the membership has ended with it.
  await left.leave().catch(() => {});
}

function forgetRoom() {
  wanted = undefined;
  room = undefined;
  document.title = 'Stoa';
  update();
}

// Messages

const decoder = new TextDecoder();

function receive({ Room: from, Body: body }, show) {
  if (from === wanted?.room) show(parseBody(typeof body === 'string' ? body : decoder.decode(body)));
}

// parseBody returns a name and a text, also for a malformed body.
function parseBody(body) {
  let parsed;
  try {
    parsed = JSON.parse(body);
  } catch {
    parsed = { text: body };
  }
  const from = typeof parsed?.from === 'string' ? parsed.from.trim() : '';
  const text = typeof parsed?.text === 'string' ? parsed.text : '';
  return { from: from.slice(0, LONGEST_NAME) || 'Anonymous', text: text.slice(0, LONGEST_TEXT) };
}

function send() {
  const text = fields.message.value.trim();
  if (text === '' || !room || !connected) return;
  if (!room.emit('chat', JSON.stringify({ from: wanted.name, text }))) return;
  view.showMessage({ from: wanted.name, text, own: true });
  fields.message.value = '';
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
  room?.emit('left', JSON.stringify({ from: wanted.name }));
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
