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
import { connectAll, createStayingClient, type StayingClient } from './clients/staying-client.ts';
import { toCount } from './options.ts';
import { startBroker } from './start-broker.ts';
import { median, quantile, sum } from './statistics.ts';

/** How long clients send before the first restart, between the two, and after the second. */
const STEADY_MS = 4_000;
/** How long all may take to be back. */
const BACK_MS = 30_000;
/** The results that are still to come when clients send no more. */
const ANSWERED_MS = 30_000;

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
const listener = await startService({ name: 'ping-listener', env });
const ports = [await freePort(), await freePort()];
const start = async (port: number): Promise<Service> => {
  const service = await startService({
    name: 'public-web',
    env: {
      ...{ ...env, PORT: `${port}`, GRPC_PORT: '0', STORE_URLS },
      DISPATCHER_URLS: `http://127.0.0.1:${dispatcherPort}`,
    },
  });
  await service.ready();
  return service;
};
await Promise.all([store, dispatcher, listener].map((service) => service.ready()));
const webs = await Promise.all(ports.map(start));

let isOver = false;
const urlOf = (turn: number) => `http://127.0.0.1:${ports[turn % ports.length]}`;
const clients = Array.from({ length: count }, (_, index) =>
  createStayingClient({ client: `rolling-${index}`, urlOf: (tries) => urlOf(index + tries) }),
);
await connectAll(clients);
console.log(`${count} clients are connected, ${perS} events a second`);

const sending = send();
await delay(STEADY_MS);
for (const index of webs.keys()) {
  const before = clients.map(({ awayMs }) => awayMs.length);
  const hadIt = clients.map((client) => client.connectedTo() === urlOf(index));
  const startMs = performance.now();
  const { code } = await (webs[index] as Service).stop();
  const stoppedMs = performance.now() - startMs;
  webs[index] = await start(ports[index] as number);
  const isBack = (client: StayingClient, place: number) =>
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
const owes = ({ answers, sent }: StayingClient) => answers.told.at(-1) !== sent.length - 1;
while (clients.some(owes) && performance.now() < endMs) await delay(100);

const lost = clients.flatMap(({ sent, answers: { told } }, place) => {
  const has = new Set(told);
  const lastOf = new Map(told.map((number) => [sent[number], number]));
  return sent.flatMap((connection, number) =>
    !has.has(number) && number < (lastOf.get(connection) ?? -1) ? [`rolling-${place}: ${number}`] : [],
  );
});
const unread =
  sum(clients.map(({ sent, answers: { told } }) => sent.length - new Set(told).size)) - lost.length;
const wrong = clients.flatMap(({ answers }) => answers.wrong);
const total = sum(clients.map(({ sent }) => sent.length));
console.log(
  `${total} events; lost ${lost.length}, wrong entries ${wrong.length}, sent while a connection ended ${unread}`,
);
for (const line of [...lost, ...wrong].slice(0, 20)) console.log(line);
for (const client of clients) client.close();
await Promise.all([...webs, listener, dispatcher].map((service) => service.stop()));
await store.stop();
await broker.stop();
await rm(folder, { recursive: true });
process.exit(lost.length + wrong.length > 0 ? 1 : 0);

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}

function isOpen(client: StayingClient): boolean {
  return client.connectedTo() !== undefined;
}

/** All take turns, so that each sends as often as the others. */
async function send(): Promise<void> {
  const startMs = performance.now();
  for (let sent = 0, place = 0; !isOver; place += 1) {
    const client = clients[place % count] as StayingClient;
    if (!isOpen(client)) {
      // Where none is open it must not take all of the processor.
      if (place % count === 0) await delay(1);
      continue;
    }
    client.send();
    sent += 1;
    await delay(Math.max(0, startMs + (sent * 1_000) / perS - performance.now()));
  }
}
