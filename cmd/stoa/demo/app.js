// The demo: one room, joined again after every loss of the connection.

import { Reconnector } from './reconnect.js';
import * as view from './view.js';

const ROUND_TRIP_EVERY = 3_000;
const LONGEST_NAME = 32;
const LONGEST_TEXT = 4_000;
const NAMES = ['Aspasia', 'Chrysippus', 'Cleanthes', 'Diotima', 'Epictetus', 'Hipparchia',
  'Hypatia', 'Musonius', 'Panaetius', 'Posidonius', 'Sappho', 'Zeno'];

const { fields, controls } = view;
const setting = (name) => document.querySelector(`meta[name="stoa-${name}"]`).content;

// What the user wants: { name, room } once they have pressed Join.
let wanted;
// What there is: the namespace while connected, the room while joined.
let nsConn;
let room;

const link = new Reconnector({
  url: `${location.protocol === 'https:' ? 'wss:' : 'ws:'}//${location.host}${setting('endpoint')}`,
  namespace: setting('namespace'),
  onState(state, seconds) {
    if (state !== 'connected') lose();
    view.showState(state, seconds);
    update();
  },
  async onConnected(entered) {
    nsConn = entered;
    view.showConnection(entered.conn.id);
    if (wanted) await rejoin();
    measure();
  },
});

function update() {
  view.showMembership({ wanted: wanted !== undefined, connected: nsConn !== undefined });
}

function lose() {
  if (nsConn && wanted) view.showNotice('The connection is lost.');
  nsConn = undefined;
  room = undefined;
  view.showConnection(undefined);
}

// Joining and leaving

async function enterRoom() {
  room = await nsConn.joinRoom(wanted.room, {
    onMessage: receive,
    onLeft() {
      view.showNotice('The server has ended your membership of the room.');
      forgetRoom();
    },
  });
}

// tryToEnterRoom reports whether the room is joined. If that failed for want of a
// connection the user still wants it, and gets it as soon as there is one.
async function tryToEnterRoom() {
  try {
    await enterRoom();
    return true;
  } catch (error) {
    if (nsConn && !nsConn.conn.isClosed) {
      forgetRoom();
      view.showProblem(`Cannot join: ${error.message}.`);
    }
    return false;
  }
}

async function rejoin() {
  if (await tryToEnterRoom()) view.showNotice(`Connected again, in ${wanted.room}.`);
}

async function join(name, roomName) {
  view.showProblem('');
  wanted = { name, room: roomName };
  update();
  if (!nsConn || !await tryToEnterRoom()) return;
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
  // A leave that fails has lost its connection, and so its membership too.
  await left.leave().catch(() => {});
}

function forgetRoom() {
  wanted = undefined;
  room = undefined;
  document.title = 'Stoa';
  update();
}

// Messages

function receive({ event, body, isError }) {
  if (isError) return;
  const { from, text } = parseBody(body);
  if (event === 'joined') view.showNotice(`${from} has joined.`);
  else if (event === 'left') view.showNotice(`${from} has left.`);
  else if (event === 'chat') view.showMessage({ from, text });
}

// parseBody makes something presentable of whatever a peer has sent.
function parseBody(body) {
  let parsed;
  try {
    parsed = JSON.parse(body);
  } catch {
    parsed = { text: body };
  }
  const from = typeof parsed?.from === 'string' ? parsed.from.trim() : '';
  const text = typeof parsed?.text === 'string' ? parsed.text : '';
  return { from: from.slice(0, LONGEST_NAME) || 'Somebody', text: text.slice(0, LONGEST_TEXT) };
}

function send() {
  const text = fields.message.value.trim();
  if (text === '' || !room) return;
  if (!room.emit('chat', JSON.stringify({ from: wanted.name, text }))) return;
  view.showMessage({ from: wanted.name, text, own: true });
  fields.message.value = '';
}

// The round trip is also the page's own check of the connection: without an
// answer it is given up, which begins a new one.
async function measure() {
  const measured = nsConn;
  if (!measured || document.hidden) return;
  try {
    const milliseconds = await measured.roundTrip();
    if (measured === nsConn) view.showRoundTrip(milliseconds);
  } catch {
    measured.conn.close();
  }
}
setInterval(measure, ROUND_TRIP_EVERY);

// What the user does

controls.joinForm.addEventListener('submit', (event) => {
  event.preventDefault();
  if (wanted || !nsConn) return;
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
  // Enter also ends the composition of a character in some languages.
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  send();
});

controls.retry.addEventListener('click', () => link.retryNow());

// What the browser does

addEventListener('online', () => link.retryNow());
document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  link.retryNow();
  measure();
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

// A page that the browser keeps for "back" may not hold a connection.
addEventListener('pagehide', () => {
  room?.emit('left', JSON.stringify({ from: wanted.name }));
  link.stop();
});
addEventListener('pageshow', (event) => {
  if (event.persisted) link.start();
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
link.start();
