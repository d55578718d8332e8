// A board of notes. Its state is the history of the room, in which a note is an event;
// a later event with the same ID is a new version of the note.

import { dial, ErrUnhandled, Roster } from '/stoa.js';

const EDITING_EVERY = 2_000;
const EDITING_LASTS = 4_000;

const element = (id) => document.getElementById(id);
const board = location.hash.slice(1) || 'lobby';

let room;
let self; // the name of the visitor
let notes = new Map(); // { id, text, by, position } by ID
const waiting = new Map(); // { id, text, by, isFailed } by ID: own versions without a confirmation
const cards = new Map(); // the elements of the notes by ID
const editors = new Map(); // { by, timer } by the ID of a note
const roster = new Roster();

const handlers = {
  board: {
    note: (_, message) => take(message),
    editing: (_, message) => showEditor(parse(message.Body)),
    _OnPresence: async (nsConn, message) => {
      await roster.apply(nsConn, message);
      showMembers();
    },
    // After both the history has the state.
    _OnHistoryRemoved: (_, { position }) => isShown(position) && refresh(),
    _OnHistoryGap: () => refresh(),
  },
};

async function enter(name) {
  self = name;
  const conn = await dial(`/ws?name=${encodeURIComponent(name)}`, handlers, {
    onState({ state, previous }) {
      element('state').textContent = state;
      // Missed notes have arrived. Missed removals have not: they are no messages.
      if (state === 'connected' && previous === 'reconnecting') refresh();
    },
  });
  room = await (await conn.connect('board')).joinRoom(board);
  await Promise.all([load(), roster.load(room)]);
  showMembers();
}

// The state

// parse returns the object in a body. Members emit any body that they like.
function parse(body) {
  try {
    const parsed = JSON.parse(body);
    return typeof parsed?.id === 'string' ? parsed : undefined;
  } catch {
    return undefined;
  }
}

function noteOf(body, position) {
  const { id, text, by } = parse(body) ?? {};
  return typeof text === 'string' && typeof by === 'string' ? { id, text, by, position } : undefined;
}

function take({ Body, position }) {
  const note = noteOf(Body, position);
  if (!note) return;
  notes.set(note.id, note);
  editors.delete(note.id);
  isStale = true;
  show();
}

function isShown(position) {
  return position === '' || [...notes.values()].some((note) => note.position === position);
}

let isLoading = false;
let isStale = false;

// load replaces the notes with those of the history. It begins again if one arrives in
// the meantime.
async function load() {
  isStale = true;
  if (isLoading) return;
  isLoading = true;
  try {
    while (isStale) {
      isStale = false;
      const entries = [];
      let page;
      do {
        page = await room.history({ limit: 100, before: entries[0]?.position });
        entries.unshift(...page.entries);
      } while (page.more);
      if (isStale) continue;
      notes = new Map();
      for (const { event, body, position } of entries) {
        const note = event === 'note' && noteOf(body, position);
        if (note) notes.set(note.id, note);
      }
    }
  } finally {
    isLoading = false;
  }
  show();
}

// refresh is load for handlers, which must not wait for it.
function refresh() {
  void attempt(load);
}

// put adds a note, or a version of one, and then removes its earlier versions. The note
// is published once, also if the connection is lost in between. Until then it is shown as
// one that waits.
async function put(id, text) {
  const note = { id, text, by: self };
  waiting.set(id, note);
  show();
  await attempt(async () => {
    let keep;
    try {
      keep = await room.publish('note', JSON.stringify(note));
    } catch (error) {
      note.isFailed = true;
      show();
      throw error;
    }
    notes.set(id, { ...note, position: keep });
    if (waiting.get(id) === note) waiting.delete(id);
    await load();
    await ask('remove', { id, keep });
  });
}

async function remove(id) {
  waiting.delete(id);
  show();
  await attempt(() => ask('remove', { id }));
}

function ask(event, body) {
  return room.nsConn.conn.ask({ Namespace: 'board', Room: board, Event: event, Body: JSON.stringify(body) });
}

async function attempt(work) {
  element('problem').textContent = '';
  try {
    await work();
  } catch (error) {
    element('problem').textContent = error === ErrUnhandled ? 'This server keeps no notes.' : error.message;
  }
}

// The page. Text of other members enters it as text only.

function show() {
  for (const [id, card] of cards) {
    if (notes.has(id) || waiting.has(id)) continue;
    card.remove();
    cards.delete(id);
  }
  for (const note of new Map([...notes, ...waiting]).values()) {
    const card = cards.get(note.id) ?? addCard(note.id);
    const text = card.querySelector('textarea');
    // The note that the visitor is changing stays, and becomes the latest version.
    if (text !== document.activeElement) text.value = note.text;
    card.querySelector('.by').textContent = captionOf(note);
    card.querySelector('button').disabled = waiting.has(note.id) && !note.isFailed;
  }
}

function captionOf({ id, by, isFailed }) {
  if (isFailed) return 'not saved';
  if (waiting.has(id)) return 'waiting …';
  return editors.has(id) ? `${editors.get(id).by} is editing …` : by;
}

function addCard(id) {
  const card = document.createElement('li');
  const text = document.createElement('textarea');
  const footer = document.createElement('footer');
  const by = document.createElement('bdi');
  const button = document.createElement('button');
  text.maxLength = 500;
  text.ariaLabel = 'Note';
  by.className = 'by';
  button.type = 'button';
  button.textContent = 'Remove';
  button.addEventListener('click', () => remove(id));
  text.addEventListener('input', () => sayEditing(id));
  text.addEventListener('change', () => put(id, text.value));
  footer.append(by, button);
  card.append(text, footer);
  cards.set(id, card);
  element('board').append(card);
  return card;
}

let saidAt = -Infinity;

function sayEditing(id) {
  if (performance.now() - saidAt < EDITING_EVERY) return;
  saidAt = performance.now();
  room.emit('editing', JSON.stringify({ id, by: self }), { volatile: true });
}

function showEditor(editing) {
  if (typeof editing?.by !== 'string' || !notes.has(editing.id)) return;
  const { id, by } = editing;
  clearTimeout(editors.get(id)?.timer);
  const end = () => editors.delete(id) && show();
  editors.set(id, { by, timer: setTimeout(end, EDITING_LASTS) });
  show();
}

function showMembers() {
  element('members').textContent = `At this board: ${roster.members.map(({ user }) => user).join(', ')}`;
}

element('enter').addEventListener('submit', (event) => {
  event.preventDefault();
  element('enter').hidden = true;
  document.querySelector('main').hidden = false;
  const name = element('name').value.trim();
  sessionStorage.setItem('name', name);
  attempt(() => enter(name));
});
element('add').addEventListener('submit', (event) => {
  event.preventDefault();
  const { value } = element('text');
  element('text').value = '';
  put(crypto.getRandomValues(new Uint32Array(4)).join('-'), value);
});
addEventListener('hashchange', () => location.reload());

element('name').value = sessionStorage.getItem('name') ?? '';
