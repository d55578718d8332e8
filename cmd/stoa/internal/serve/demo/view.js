// The document of the page. Text from a peer enters it only as textContent.

const element = (id) => document.getElementById(id);

export const fields = {
  name: element('name'),
  room: element('room'),
  message: element('message'),
};

export const controls = {
  joinForm: element('join-form'),
  join: element('join'),
  leave: element('leave'),
  copy: element('copy'),
  messageForm: element('message-form'),
  send: element('send'),
  retry: element('retry'),
};

const log = element('log');
const jump = element('jump');
export const LONGEST_LOG = 500;
const LONGEST_LIST = 50;
const LONGEST_WAIT = 500;
const NAME_COLORS = 8;

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });
const clockWithDay = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit' });

let countdown;

// showState shows the state of the connection: "connecting", "connected",
// "reconnecting" or "closed". delay is the time until the next attempt, in
// milliseconds.
export function showState(state, delay = 0) {
  clearTimeout(countdown);
  const end = performance.now() + delay;
  const show = () => {
    const left = end - performance.now();
    if (delay === 0 || left <= 0) {
      showStateText(state, TEXTS[state]);
      return;
    }
    showStateText('waiting', `Retrying in ${Math.ceil(left / 1000)} s`);
    countdown = setTimeout(show, Math.min(1000, left));
  };
  show();
}

const TEXTS = {
  connecting: 'Connecting',
  connected: 'Connected',
  reconnecting: 'Reconnecting',
  closed: 'Closed',
};

function showStateText(state, text) {
  const shown = element('state');
  // Screen readers should announce the loss, but not every second and attempt.
  const known = ['waiting', 'reconnecting'];
  const again = known.includes(state) && known.includes(shown.dataset.state);
  shown.setAttribute('aria-live', again ? 'off' : 'polite');
  shown.dataset.state = state;
  shown.textContent = text;
  controls.retry.hidden = state !== 'waiting' && state !== 'closed';
}

// showConnection shows the IDs of a connection and of its node. Without a
// connection id is undefined.
export function showConnection(id) {
  element('connection-id').textContent = id ?? '–';
  element('node-id').textContent = id === undefined ? '–' : id.split('-', 1)[0];
  if (id === undefined) element('rtt').textContent = '–';
}

export function showRoundTrip(milliseconds) {
  element('rtt').textContent = `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`;
}

export function showProblem(text) {
  const problem = element('problem');
  problem.textContent = text;
  problem.hidden = text === '';
}

// showMembership sets the controls. wanted is true while the user is in a room, or
// waits for a connection to join it.
export function showMembership({ wanted, connected }) {
  const usable = wanted && connected;
  fields.name.readOnly = wanted;
  fields.room.readOnly = wanted;
  controls.join.hidden = wanted;
  controls.join.disabled = !connected;
  controls.leave.hidden = !wanted;
  controls.copy.hidden = !wanted || navigator.clipboard === undefined;
  // A disabled field loses its focus, so without a connection only the button is
  // disabled.
  fields.message.disabled = !wanted;
  fields.message.placeholder = wanted ? 'Write a message' : 'Join the room to write';
  controls.send.disabled = !usable;
  controls.send.title = wanted && !connected ? 'Not connected: wait for the connection' : '';
}

// showMembers lists the members of the room, or hides the list if there is none.
export function showMembers(shown) {
  element('people').hidden = shown === undefined;
  const { count, members } = shown ?? { count: 0, members: [] };
  element('count').textContent = `${count} here`;
  const items = members.slice(0, LONGEST_LIST).map(memberElement);
  if (members.length > items.length) {
    const rest = document.createElement('li');
    rest.textContent = `and ${members.length - items.length} more`;
    items.push(rest);
  }
  element('members').replaceChildren(...items);
}

function memberElement({ name, isSelf }) {
  const item = document.createElement('li');
  const shown = document.createElement('bdi');
  shown.textContent = name;
  shown.dataset.color = colorOf(name);
  item.append(shown);
  if (isSelf) item.append(' (you)');
  return item;
}

export function showTyping(names) {
  const typing = element('typing');
  if (names.length === 0) typing.textContent = '';
  else if (names.length === 1) typing.textContent = `${names[0]} is typing …`;
  else if (names.length === 2) typing.textContent = `${names[0]} and ${names[1]} are typing …`;
  else typing.textContent = `${names.length} people are typing …`;
}

// showMessage adds a message. isOld is true for one of the history, at is its time if
// that is known. sent is a promise for an own message: until it settles, the message is
// shown as one that may not have arrived.
export function showMessage({ from, text, own, position, at, isOld, sent }) {
  const entry = { kind: own ? 'chat own' : isOld ? 'chat old' : 'chat', from, text, position, at };
  if (sent !== undefined) {
    entry.kind += ' pending';
    sent.then((reached) => settle(entry, reached), (error) => settle(entry, undefined, error));
  }
  append(entry);
}

// settle ends the wait for the confirmation of a message.
function settle(entry, position, error) {
  entry.position = position;
  entry.kind = 'chat own';
  if (error !== undefined) {
    entry.kind += ' failed';
    entry.text += `\n(${error.message})`;
  }
  const { shown } = entry;
  if (shown === undefined) return;
  shown.className = `entry ${entry.kind}`;
  shown.querySelector('.text').textContent = entry.text;
  if (position) shown.dataset.position = position;
}

export function showNotice(text) {
  append({ kind: 'notice', text, at: new Date() });
}

// showDivider adds a title to the messages that follow.
export function showDivider(text, isGap = false) {
  append({ kind: isGap ? 'divider gap' : 'divider', text });
}

// removeMessage removes the message with a position; without one all messages that
// have a position.
export function removeMessage(position) {
  const isRemoved = (of) => (position ? of === position : of !== undefined);
  waiting = waiting.filter((entry) => !isRemoved(entry.position));
  for (const entry of [...log.children]) if (isRemoved(entry.dataset.position)) entry.remove();
}

// clearLog removes all entries.
export function clearLog() {
  waiting = [];
  log.replaceChildren();
  jump.hidden = true;
}

// The newest messages and notices that are not in the log yet.
let waiting = [];
let frame;
let timer;

// append adds an entry to the log in the next frame, together with the others that
// have arrived until then: a flood of messages must not lay out the page once each.
function append(entry) {
  waiting.push(entry);
  if (waiting.length > 2 * LONGEST_LOG) waiting = waiting.slice(-LONGEST_LOG);
  if (frame !== undefined) return;
  frame = requestAnimationFrame(render);
  // A hidden page has no frames.
  timer = setTimeout(render, LONGEST_WAIT);
}

function render() {
  cancelAnimationFrame(frame);
  clearTimeout(timer);
  frame = undefined;
  const follow = isAtEnd();
  // A screen reader should not read out a history.
  const isHistory = waiting.some(({ kind }) => kind === 'chat old');
  log.setAttribute('aria-live', isHistory ? 'off' : 'polite');
  const added = waiting.slice(-LONGEST_LOG).map(entryElement);
  waiting = [];
  const kept = LONGEST_LOG - added.length;
  while (log.childElementCount > kept) log.firstElementChild.remove();
  log.append(...added);
  element('hint').hidden = true;
  if (follow) scrollToEnd();
  else jump.hidden = false;
}

function entryElement(source) {
  const { kind, from, text, position, at } = source;
  const entry = document.createElement('div');
  source.shown = entry;
  entry.className = `entry ${kind}`;
  if (position) entry.dataset.position = position;
  if (from !== undefined) {
    const who = document.createElement('bdi');
    who.className = 'who';
    who.textContent = from;
    who.dataset.color = colorOf(from);
    entry.append(who);
  }
  entry.append(paragraph(text));
  if (at !== undefined) entry.append(time(at));
  return entry;
}

function paragraph(text) {
  const p = document.createElement('p');
  p.className = 'text';
  p.dir = 'auto';
  p.textContent = text;
  return p;
}

function time(at) {
  const shown = document.createElement('time');
  shown.dateTime = at.toISOString();
  const isToday = at.toDateString() === new Date().toDateString();
  shown.textContent = (isToday ? clock : clockWithDay).format(at);
  return shown;
}

// colorOf gives a name the same color in every browser.
function colorOf(name) {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 9973;
  return sum % NAME_COLORS;
}

function isAtEnd() {
  return log.scrollHeight - log.scrollTop - log.clientHeight < 40;
}

function scrollToEnd() {
  log.scrollTop = log.scrollHeight;
}

log.addEventListener('scroll', () => {
  if (isAtEnd()) jump.hidden = true;
});
jump.addEventListener('click', () => {
  scrollToEnd();
  fields.message.focus();
});
// The log shrinks when a phone shows its keyboard.
new ResizeObserver(() => {
  if (jump.hidden) scrollToEnd();
}).observe(log);
