/**
 * `npm run bench:dataset`: a dataset to clients that ask at the same time, each with a queue of its own, from the request to the last
 * confirm, beside bare loops that publish the very same bodies to queues of the same kind: one waits for each confirm, the other
 * for those of 32 at a time. And the stream by TCP to so many readers, beside `cat` of the same bytes into their sockets. In turns,
 * on a RabbitMQ of its own; compare the ratios of one run.
 *
 *     npm run bench:dataset -- --clients 1,10,100 --rounds 5 --batches 40
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { type ConfirmChannel, connect } from 'amqplib';
import { npyFile } from '../packages/dataset-generator/src/dataset-files.fixture.ts';
import { DATASET, startDatasetSystem } from './dataset-system.ts';
import { receive, receiveAll, serveByCat } from './dataset-tcp.ts';
import { toCount } from './options.ts';
import { cpuUs, endedChildrenCpuUs } from './process-usage.ts';
import { startBroker } from './start-broker.ts';
import { median, sum } from './statistics.ts';
import { toTable } from './table.ts';

/** What data-dispatch-listener has unconfirmed at most. */
const WINDOW = 32;
const SAMPLES_PER_BATCH = 30;
/** As those of MNIST. */
const SAMPLE = [28, 28];

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '1,10,100' },
    rounds: { type: 'string', default: '5' },
    batches: { type: 'string', default: '40' },
  },
});
const rounds = toCount('rounds', values.rounds);
const samples = toCount('batches', values.batches) * SAMPLES_PER_BATCH;
const folder = await mkdtemp(join(tmpdir(), 'waybill-bench-'));
const data = Buffer.alloc(4 * samples * SAMPLE.reduce((a, b) => a * b));
await writeFile(join(folder, `${DATASET}.npy`), npyFile({ shape: `(${[samples, ...SAMPLE]})`, data }));

const broker = await startBroker();
const system = await startDatasetSystem(broker.url, folder);
const connection = await connect(broker.url, { noDelay: true });
const control = await connection.createConfirmChannel();
// Warm up, and fetch the bodies and the lines.
const bodies = await takeAll(await system.send());
const lines = await receiveAll(system.tcpPort);
const file = join(folder, 'lines');
await writeFile(file, lines);
const cat = await serveByCat(file);

/** What sends to one client, and whose CPU time that takes. */
type Way = { send(): Promise<string | undefined>; usedUs(): number; bytes: number };
const ofSystem = () => sum(system.pids.map(cpuUs));
const bodyBytes = sum(bodies.map(({ length }) => length));
const QUEUES: Record<string, Way> = {
  waybill: { send: system.send, usedUs: ofSystem, bytes: bodyBytes },
  'each confirmed': { send: () => publish(1), usedUs: () => cpuUs(process.pid), bytes: bodyBytes },
  [`${WINDOW} at a time`]: {
    send: () => publish(WINDOW),
    usedUs: () => cpuUs(process.pid),
    bytes: bodyBytes,
  },
};
const STREAMS: Record<string, Way> = {
  waybill: { send: () => read(system.tcpPort), usedUs: ofSystem, bytes: lines.length },
  cat: { send: () => read(cat), usedUs: endedChildrenCpuUs, bytes: lines.length },
};
for (const clients of values.clients.split(',').map((value) => toCount('clients', value)))
  for (const [name, ways] of Object.entries({ queues: QUEUES, TCP: STREAMS }))
    print(`${clients} by ${name}`, await inTurns(ways, clients));
process.exit(0);

type Figures = { mbPerS: number; ownMs: number; brokerMs: number };

/** Medians of the rounds, in each of which every way comes once. CPU in ms per MB. */
async function inTurns(ways: Record<string, Way>, clients: number): Promise<Record<string, Figures>> {
  const all = Object.keys(ways).map((name) => [name, [] as Figures[]] as const);
  for (let round = 0; round < rounds; round += 1)
    for (const [name, figures] of all) figures.push(await measure(ways[name] as Way, clients));
  const middle = (figures: Figures[], key: keyof Figures) => median(figures.map((each) => each[key]));
  return Object.fromEntries(
    all.map(([name, figures]) => [
      name,
      {
        mbPerS: middle(figures, 'mbPerS'),
        ownMs: middle(figures, 'ownMs'),
        brokerMs: middle(figures, 'brokerMs'),
      },
    ]),
  );
}

async function measure({ send, usedUs, bytes }: Way, clients: number): Promise<Figures> {
  const before = { own: usedUs(), broker: cpuUs(broker.pid), ms: performance.now() };
  const queues = await Promise.all(Array.from({ length: clients }, send));
  const seconds = (performance.now() - before.ms) / 1_000;
  const mb = (bytes * clients) / 1e6;
  const perMb = (us: number) => us / 1_000 / mb;
  const figures = {
    mbPerS: mb / seconds,
    ownMs: perMb(usedUs() - before.own),
    brokerMs: perMb(cpuUs(broker.pid) - before.broker),
  };
  for (const queue of queues) if (queue !== undefined) await control.deleteQueue(queue);
  return figures;
}

function print(title: string, all: Record<string, Figures>): void {
  const ours = all.waybill?.mbPerS ?? Number.NaN;
  const rows = Object.entries(all).map(([name, { mbPerS, ownMs, brokerMs }]) => [
    name,
    mbPerS.toFixed(1),
    (ours / mbPerS).toFixed(2),
    ownMs.toFixed(1),
    brokerMs.toFixed(1),
  ]);
  const columns = [title, 'MB/s', 'Waybill is ×', 'CPU ms per MB: own', 'broker'];
  console.log(`\n${toTable(columns, rows)}`);
}

/** Publishes the bodies to a new queue, so many unconfirmed at once. */
async function publish(unconfirmed: number): Promise<string> {
  const queue = randomUUID();
  const channel: ConfirmChannel = await connection.createConfirmChannel();
  await channel.assertQueue(queue, { durable: true });
  for (const [index, body] of bodies.entries()) {
    channel.sendToQueue(queue, body, { persistent: true, mandatory: true });
    if ((index + 1) % unconfirmed === 0) await channel.waitForConfirms();
  }
  await channel.waitForConfirms();
  await channel.close();
  return queue;
}

async function takeAll(queue: string): Promise<Buffer[]> {
  const contents: Buffer[] = [];
  for (;;) {
    const message = await control.get(queue, { noAck: true });
    if (!message) break;
    contents.push(message.content);
  }
  await control.deleteQueue(queue);
  return contents;
}

async function read(port: number): Promise<undefined> {
  const bytes = await receive(port);
  // A line has the port of its reader, which may have a digit less.
  if (bytes < 0.99 * lines.length) throw new Error(`${bytes} bytes came of ${lines.length}`);
}
