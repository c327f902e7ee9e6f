/**
 * What order costs: the same events handled in order, and as they come, by one listener in this process; each round both, one after the
 * other. The broker is a RabbitMQ of its own, or the one that AMQP_URL names.
 *
 *     npm run bench:ordered
 */
import { randomUUID } from 'node:crypto';
import { createBroker } from '@waybill/common/broker/create-broker.ts';
import { destinationOf } from '@waybill/common/broker/partitions.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import { encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { createListener } from '@waybill/listener';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { pino } from 'pino';
import { brokerUrl } from './broker-url.ts';
import { cpuUs } from './process-usage.ts';
import { median } from './statistics.ts';

const ROUNDS = Number(process.env.BENCH_ROUNDS ?? 3);
const EVENTS = Number(process.env.BENCH_EVENTS ?? 2_000);
const log = pino({ level: 'silent' });
const url = await brokerUrl();

const cases = [
  { keys: 200, ordered: false },
  { keys: 200, ordered: true },
  { keys: 1, ordered: false },
  { keys: 1, ordered: true },
];
const results = new Map(cases.map((each) => [each, [] as { perSecond: number; cpu: number }[]]));
for (let round = 0; round < ROUNDS; round += 1)
  for (const each of cases) results.get(each)?.push(await measure(each));
console.table(
  cases.map((each) => ({
    ...each,
    'events/s': Math.round(median((results.get(each) ?? []).map(({ perSecond }) => perSecond))),
    'CPU µs/event': Math.round(median((results.get(each) ?? []).map(({ cpu }) => cpu))),
  })),
);
process.exit(0);

/** Publishes as public-web does, of each key one after the other where they are to be in order, and waits until all are handled. */
async function measure({ keys, ordered }: (typeof cases)[number]) {
  const service = `bench-${randomUUID()}`;
  const type = `Step.${service}`;
  const topology = { service, types: [type], orderedTypes: ordered ? [type] : [] };
  const { publisher, subscriber } = await createBroker({ url, name: service, topology, log });
  let handled = 0;
  const done = Promise.withResolvers<void>();
  const handle = () => {
    handled += 1;
    if (handled === EVENTS) done.resolve();
  };
  const listener = createListener({
    ...{ service, publisher, subscriber, log },
    handlers: { [type]: { ordered, handle } },
  });
  await eventually(() => {
    if (!listener.isActive() || !publisher.isAvailable()) throw new Error('not connected');
  });
  const startedMs = performance.now();
  const startedUs = cpuUs(process.pid);
  const lanes = Array.from({ length: ordered ? keys : 256 }, (_, lane) => lane);
  let next = 0;
  const { signal } = new AbortController();
  await Promise.all(
    lanes.map(async (lane) => {
      for (let n = next++; n < EVENTS; n = next++) {
        const partitionkey = String(ordered ? lane : n % keys);
        const event = { specversion: '1.0' as const, id: String(n), source: '/bench', type, partitionkey };
        const to = ordered ? destinationOf(event) : { type };
        await publishUntilConfirmed(publisher, { to, ...encodeMessage([encodeEvent(event)]) }, signal);
      }
    }),
  );
  await done.promise;
  const ms = performance.now() - startedMs;
  const us = cpuUs(process.pid) - startedUs;
  await listener.drain();
  await Promise.all([publisher.close(), subscriber.close()]);
  return { perSecond: (EVENTS / ms) * 1_000, cpu: us / EVENTS };
}
