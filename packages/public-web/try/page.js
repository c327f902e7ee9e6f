/** The page at `/try`: sends pings over a connection of `@waybill/client`, and shows what comes. */
import { createClient } from '/try/client/create-client.js';

/** Answers that are shown. */
const MAX_SHOWN = 100;
const PING = 'PingRequest';

const byId = (id) => document.getElementById(id);
const client = rememberedClient();
const waybill = createClient({ source: '/try' });
const counts = { sent: 0, answered: 0, waiting: 0, missed: 0 };
/** When the pings were sent that have no answer, by their ids. */
const sentMs = new Map();
let connection;

byId('client').textContent = client;
byId('ping').onclick = () => ping();
byId('many').onclick = () => Promise.all(Array.from({ length: 10 }, ping));
byId('connect').onclick = () => (connection ? disconnect() : connect());
connect();

function connect() {
  connection = waybill.connect({ client, onEvent: showMissed, onState: showState });
  byId('connect').textContent = 'Disconnect';
}

async function disconnect() {
  byId('connect').disabled = true;
  await connection.close();
  byId('connect').disabled = false;
}

/** Without a connection the answer waits in the mailbox. */
async function ping() {
  const id = crypto.randomUUID?.() ?? `${Math.random()}`;
  sentMs.set(id, performance.now());
  count({ sent: 1, waiting: 1 });
  try {
    if (connection) {
      const reply = await connection.request(PING, { sentAt: Date.now() }, { id });
      settle(id, { what: reply.type, traceresponse: reply.traceresponse });
    } else await post(id);
  } catch (error) {
    settle(id, { what: error.message, isFailed: true });
  }
}

async function post(id) {
  const response = await fetch(`/clients/${client}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ id, type: PING, data: { sentAt: Date.now() } }),
  });
  if (!response.ok) throw new Error(`HTTP ${response.status}`);
}

/** What nobody here has waited for. */
function showMissed({ type, requestid, data, traceresponse }) {
  if (type === 'waybill.Gap') return show({ what: `lost: ${data.from} to ${data.to}`, isFailed: true });
  settle(requestid, { what: type, traceresponse, isMissed: true });
}

function settle(id, { what, traceresponse, isMissed = false, isFailed = false }) {
  const startMs = sentMs.get(id);
  sentMs.delete(id);
  count({ answered: isFailed ? 0 : 1, waiting: startMs === undefined ? 0 : -1, missed: isMissed ? 1 : 0 });
  const took = startMs === undefined ? '' : `${Math.round(performance.now() - startMs)} ms`;
  show({ what: isMissed ? `${what}, missed` : what, took, traceresponse, isMissed, isFailed });
}

function show({ what, took = '', traceresponse, isMissed = false, isFailed = false }) {
  const row = document.createElement('li');
  row.className = isFailed ? 'failed' : isMissed ? 'missed' : '';
  const [, traceId] = String(traceresponse ?? '').split('-');
  for (const [name, text] of [
    ['span', what],
    ['span', took],
    ['small', traceId ? `trace ${traceId}` : 'no trace'],
  ]) {
    const part = document.createElement(name);
    part.textContent = text;
    row.append(part);
  }
  byId('answers').prepend(row);
  if (byId('answers').children.length > MAX_SHOWN) byId('answers').lastChild.remove();
}

function showState(state) {
  const element = byId('state');
  element.className = state.name;
  element.textContent = describe(state);
  if (state.name !== 'closed') return;
  connection = undefined;
  byId('connect').textContent = 'Connect';
}

function describe({ name, via, error }) {
  if (via) return `${name} by ${via}`;
  return error ? `${name}: ${error.message}` : name;
}

function count(changes) {
  for (const [name, change] of Object.entries(changes)) {
    counts[name] += change;
    byId(name).textContent = counts[name];
  }
}

/** One per tab, also when it is loaded again. */
function rememberedClient() {
  const known = sessionStorage.getItem('client');
  if (known) return known;
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  const made = `try-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
  sessionStorage.setItem('client', made);
  return made;
}
