// What the page shows. Text that came from a peer reaches the document only as
// textContent.

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
const LONGEST_LOG = 500;
const NAME_COLOURS = 8;

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

let countdown;

// showState shows what the client is doing: "connecting", "connected", "reconnecting" or
// "closed", and how many milliseconds it waits before it tries again, if it does.
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
  // A screen reader should hear of the loss, not of every second and every attempt.
  const known = ['waiting', 'reconnecting'];
  const again = known.includes(state) && known.includes(shown.dataset.state);
  shown.setAttribute('aria-live', again ? 'off' : 'polite');
  shown.dataset.state = state;
  shown.textContent = text;
  controls.retry.hidden = state !== 'waiting' && state !== 'closed';
}

// showConnection shows the ID of a connection and of the node that has made it,
// or that there is none.
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

// showMembership sets the controls: wanted says whether the user is in a room or
// will be as soon as there is a connection; connected whether there is one.
export function showMembership({ wanted, connected }) {
  const usable = wanted && connected;
  fields.name.readOnly = wanted;
  fields.room.readOnly = wanted;
  controls.join.hidden = wanted;
  controls.join.disabled = !connected;
  controls.leave.hidden = !wanted;
  controls.copy.hidden = !wanted || navigator.clipboard === undefined;
  // A field that is disabled loses its focus, so a lost connection only stops the
  // button; what was typed stays.
  fields.message.disabled = !wanted;
  fields.message.placeholder = wanted ? 'Write a message' : 'Join the room to write';
  controls.send.disabled = !usable;
}

export function showMessage({ from, text, own }) {
  const who = document.createElement('bdi');
  who.className = 'who';
  who.textContent = from;
  who.dataset.colour = colourOf(from);
  append(own ? 'chat own' : 'chat', who, paragraph(text), time());
}

export function showNotice(text) {
  append('notice', paragraph(text), time());
}

function append(kind, ...children) {
  const follow = isAtEnd();
  const entry = document.createElement('div');
  entry.className = `entry ${kind}`;
  entry.append(...children);
  log.append(entry);
  while (log.childElementCount > LONGEST_LOG) log.firstElementChild.remove();
  element('hint').hidden = true;
  if (follow) scrollToEnd();
  else jump.hidden = false;
}

function paragraph(text) {
  const p = document.createElement('p');
  p.className = 'text';
  p.dir = 'auto';
  p.textContent = text;
  return p;
}

function time() {
  const now = new Date();
  const shown = document.createElement('time');
  shown.dateTime = now.toISOString();
  shown.textContent = clock.format(now);
  return shown;
}

// colourOf gives a name the same colour in every browser.
function colourOf(name) {
  let sum = 0;
  for (const character of name) sum = (sum * 31 + character.codePointAt(0)) % 9973;
  return sum % NAME_COLOURS;
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
// The log becomes lower when a phone shows its keyboard.
new ResizeObserver(() => {
  if (jump.hidden) scrollToEnd();
}).observe(log);
