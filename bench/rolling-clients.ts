/**
 * `npm run bench:rolling`: clients that stay while both public-webs are replaced, one after the other. Each holds a WebSocket with a
 * mailbox and sends events at an even pace; when its connection ends it connects to the next public-web, with the token of the last
 * entry that it has.
 *
 *     npm run bench:rolling                                 1,000 clients, which send 100 events a second together
 *     npm run bench:rolling -- --clients 200 --per-s 50
 *     npm run bench:rolling -- --database postgresql://…
 *
 * Prints how long clients were away, and exits 1 when an entry is missing, comes twice or out of order, or an event was lost: one
 * that was sent on a connection before another that has its result.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { WebSocket } from 'ws';
import { toCount } from './options.ts';
import { startBroker } from './start-broker.ts';
import { median, quantile } from './statistics.ts';

/** How long clients send before the first restart, between the two, and after the second. */
const STEADY_MS = 4_000;
/** Of an attempt to connect; and how long all may take to be back. */
const CONNECT_MS = 5_000;
const BACK_MS = 30_000;
/** The results that are still to come when clients send no more. */
const ANSWERED_MS = 30_000;
/** Clients that connect at once, at the start alone. */
const AT_ONCE = 50;
/** An upper bound of what a client waits before it tries again: with full jitter, doubled up to 2 s. */
const AGAIN_MS = { base: 100, cap: 2_000 };

type Client = {
  id: string;
  socket: WebSocket | undefined;
  token: string;
  /** The number of the connection that each event went by. */
  sent: number[];
  /** Numbers of the events whose results came, in the order in which they came. */
  told: number[];
  wrong: string[];
  awayMs: number[];
};

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '1000' },
    'per-s': { type: 'string', default: '100' },
    database: { type: 'string' },
  },
});
const count = toCount('clients', values.clients);
const perS = toCount('per-s', values['per-s']);

const folder = await mkdtemp(join(tmpdir(), 'waybill-rolling-'));
const broker = await startBroker();
const env = {
  AMQP_URL: broker.url,
  INTERNAL_SECRETS: 'a secret of this measurement with more than 32 characters',
  LOG_LEVEL: 'info',
};
const [storePort, dispatcherPort] = [await freePort(), await freePort()];
const STORE_URLS = `http://127.0.0.1:${storePort}`;
const store = await startService({
  name: 'store',
  env: { ...env, PORT: `${storePort}`, DATABASE_URL: values.database ?? `sqlite:${folder}/store.db` },
});
const dispatcher = await startService({
  name: 'dispatcher',
  env: { ...env, PORT: `${dispatcherPort}`, STORE_URLS },
});
const listener = await startService({ name: 'square-listener', env });
const ports = [await freePort(), await freePort()];
const start = async (port: number): Promise<Service> => {
  const service = await startService({
    name: 'public-web',
    env: {
      ...{ ...env, PORT: `${port}`, GRPC_PORT: '0', STORE_URLS },
      DISPATCHER_URLS: `http://127.0.0.1:${dispatcherPort}`,
      PUBLIC_EVENT_TYPES: 'nimbus.sq',
    },
  });
  await service.ready();
  return service;
};
await Promise.all([store, dispatcher, listener].map((service) => service.ready()));
const webs = await Promise.all(ports.map(start));

let isOver = false;
const clients = Array.from({ length: count }, (_, index): Client => {
  const id = `rolling-${index}`;
  return { id, socket: undefined, token: '', sent: [], told: [], wrong: [], awayMs: [] };
});
for (let from = 0; from < count; from += AT_ONCE)
  await Promise.all(clients.slice(from, from + AT_ONCE).map((client, index) => connect(client, index)));
console.log(`${count} clients are connected, ${perS} events a second`);

const sending = send();
await delay(STEADY_MS);
for (const index of webs.keys()) {
  const before = clients.map(({ awayMs }) => awayMs.length);
  const hadIt = clients.map(({ socket }) => socket?.url.includes(`:${ports[index]}/`) ?? false);
  const startMs = performance.now();
  const { code } = await (webs[index] as Service).stop();
  const stoppedMs = performance.now() - startMs;
  webs[index] = await start(ports[index] as number);
  const isBack = (client: Client, place: number) =>
    !hadIt[place] || (client.awayMs.length > (before[place] ?? 0) && isOpen(client));
  const untilMs = performance.now() + BACK_MS;
  while (!clients.every(isBack) && performance.now() < untilMs) await delay(20);
  const away = clients.flatMap(({ awayMs }, place) => awayMs.slice(before[place]));
  console.log(
    `public-web ${index + 1}: exit ${code} after ${ms(stoppedMs)}; ${away.length} clients away for ${ms(median(away))}, ` +
      `99% for ${ms(quantile(away, 0.99))}, all for ${ms(Math.max(...away))}; not back: ${clients.filter((client, place) => !isBack(client, place)).length}`,
  );
  await delay(STEADY_MS);
}
isOver = true;
await sending;
const endMs = performance.now() + ANSWERED_MS;
const owes = (client: Client) => client.told.at(-1) !== client.sent.length - 1;
while (clients.some(owes) && performance.now() < endMs) await delay(100);

const lost = clients.flatMap(({ id, sent, told }) => {
  const has = new Set(told);
  const lastOf = new Map(told.map((number) => [sent[number], number]));
  return sent.flatMap((connection, number) =>
    !has.has(number) && number < (lastOf.get(connection) ?? -1) ? [`${id}: ${number}`] : [],
  );
});
const unread =
  clients.reduce((all, { sent, told }) => all + sent.length - new Set(told).size, 0) - lost.length;
const wrong = clients.flatMap((client) => client.wrong);
const total = clients.reduce((all, { sent }) => all + sent.length, 0);
console.log(
  `${total} events; lost ${lost.length}, wrong entries ${wrong.length}, sent while a connection ended ${unread}`,
);
for (const line of [...lost, ...wrong].slice(0, 20)) console.log(line);
for (const { socket } of clients) socket?.terminate();
await Promise.all([...webs, listener, dispatcher].map((service) => service.stop()));
await store.stop();
await broker.stop();
await rm(folder, { recursive: true });
process.exit(lost.length + wrong.length > 0 ? 1 : 0);

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

function isOpen({ socket }: Client): boolean {
  return socket?.readyState === WebSocket.OPEN;
}

/** All take turns, so that each sends as often as the others. */
async function send(): Promise<void> {
  const startMs = performance.now();
  for (let sent = 0, place = 0; !isOver; place += 1) {
    const client = clients[place % count] as Client;
    if (!isOpen(client)) {
      // Where none is open it must not take all of the processor.
      if (place % count === 0) await delay(1);
      continue;
    }
    const number = client.sent.length;
    client.sent.push(client.awayMs.length);
    const event = { specversion: '1.0', id: `${number}`, source: '/bench', type: 'nimbus.sq' };
    client.socket?.send(JSON.stringify({ ...event, data: { event_name: 'sq', number } }));
    sent += 1;
    await delay(Math.max(0, startMs + (sent * 1_000) / perS - performance.now()));
  }
}

/** Resolves when it is connected; from then on it comes back by itself. */
async function connect(client: Client, turn: number): Promise<void> {
  const awayMs = performance.now();
  for (let attempt = 0; !isOver; attempt += 1) {
    const port = ports[(turn + attempt) % ports.length];
    const query = new URLSearchParams({ client: client.id, ...(client.token && { after: client.token }) });
    const socket = new WebSocket(`ws://127.0.0.1:${port}/ws?${query}`, 'cloudevents.json', {
      handshakeTimeout: CONNECT_MS,
    });
    socket.on('message', (data) => take(client, JSON.parse(String(data))));
    socket.on('error', () => {});
    const isOpened = await new Promise<boolean>((resolve) => {
      socket.once('open', () => resolve(true)).once('close', () => resolve(false));
    });
    if (isOpened) {
      if (client.socket) client.awayMs.push(performance.now() - awayMs);
      client.socket = socket;
      socket.once('close', () => void connect(client, turn + attempt + 1));
      return;
    }
    await delay(Math.random() * Math.min(AGAIN_MS.cap, AGAIN_MS.base * 2 ** attempt));
  }
}

function take(
  client: Client,
  entry: { token?: string; requestid?: string; type: string; data?: object },
): void {
  const { token = '', requestid, type, data } = entry;
  const [, offset] = token.split('.');
  const [, before = '0'] = client.token.split('.');
  const number = Number(requestid);
  const isNext = client.token === '' || Number(offset) === Number(before) + 1;
  const isInOrder = number > (client.told.at(-1) ?? -1);
  if (!isNext || !isInOrder || type === 'waybill.Problem' || type === 'waybill.Gap')
    client.wrong.push(
      `${client.id} after ${client.token}: ${JSON.stringify({ token, requestid, type, data })}`,
    );
  client.token = token;
  client.told.push(number);
}
