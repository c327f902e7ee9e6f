/** Order on a broker, over the deaths of processes. What a listener does by itself is in `consume-in-order.test.ts`. */
import assert from 'node:assert/strict';
import { after, before, describe, it, type TestContext } from 'node:test';
import { destinationOf, partitionOf } from '@waybill/common/broker/partitions.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { type Rabbitmq, startRabbitmq } from '@waybill/test-harness/rabbitmq.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { cannotStartRabbitmq } from '@waybill/test-harness/test-broker.ts';
import { createListenerBench, type ListenerBench, makeRequest } from './listener-bench.fixture.ts';

const main = 'packages/listener/src/ordered-program.fixture.ts';
/** So that a message ends now with one key, now with the other. */
const BATCH_SIZE = 3;

describe('a service that takes events in order', () => {
  let bench: ListenerBench;
  before(async () => {
    bench = await createListenerBench();
  });
  after(() => bench.close());

  it('keeps the order of each key, of what comes again too, over attempts that fail, a kill -9 of the instance at work, and a graceful stop', async (t) => {
    const service = 'in-order';
    const listeners = await Promise.all([1, 2, 3].map(() => start(bench, t, service)));
    // By twos of a partition, so that a message holds events of both.
    const events = stepsOf(service, ['a', 'j', 'b', 'i', 'c', 'h'], 40);
    await publishInBatches(bench, events);

    const killed = await firstAtWork(listeners);
    killed.kill('SIGKILL');
    const stopped = await firstAtWork(listeners.filter((each) => each !== killed));
    assert.deepEqual(await stopped.stop(), { code: 0, signal: null });

    await Promise.all(events.map((event) => bench.replyTo(event)));
    expectInOrder(bench, events);
    expectNoGaps(bench, events);
    const [third] = listeners.filter((each) => each !== killed && each !== stopped);
    assert.ok(third?.logs.some(isStarted), 'the stop came after the load');
    await bench.broker.emptied({ prefix: `waybill.${service}` });
  });

  it('holds back nobody but the followers of an event that fails for a while', async (t) => {
    const service = 'beside';
    await start(bench, t, service);
    const failing = [stepOf(service, 'failing', 0, { stumbles: 3 }), stepOf(service, 'failing', 1)];
    const others = ['p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x'].map((key) => stepOf(service, key, 0));
    await publishInOrder(bench, [...failing, ...others]);

    await Promise.all(others.map((other) => bench.replyTo(other)));
    assert.deepEqual(failing.flatMap(bench.repliesTo), []);

    await Promise.all(failing.map((event) => bench.replyTo(event)));
    expectInOrder(bench, failing);
  });
});

describe('a service that takes events in order, when the broker is restarted', {
  skip: cannotStartRabbitmq,
}, () => {
  let rabbitmq: Rabbitmq;
  let bench: ListenerBench;
  before(async () => {
    rabbitmq = await startRabbitmq();
    bench = await createListenerBench({ url: rabbitmq.url });
  });
  after(async () => {
    await bench.close();
    await rabbitmq.stop();
  });

  it('goes on where it was, in order', async (t) => {
    const service = 'restarted';
    await Promise.all([1, 2].map(() => start(bench, t, service)));
    const events = stepsOf(service, ['a', 'b', 'c', 'd'], 12);
    const publishing = publishInOrder(bench, events);
    await bench.waitForReplies(() => bench.replyMessages().length >= 4);

    await rabbitmq.restart();

    await publishing;
    await Promise.all(events.map((event) => bench.replyTo(event)));
    expectInOrder(bench, events);
  });
});

async function start(bench: ListenerBench, t: TestContext, service: string): Promise<Service> {
  const listener = await bench.startReady(service, { main });
  t.after(() => listener.kill('SIGKILL'));
  return listener;
}

/** Step `n` of a key. */
function stepOf(service: string, key: string, n: number, data: object = {}): CloudEvent {
  return makeRequest(service, 'Step', { id: `${service}/${key}/${n}`, partitionkey: key, data });
}

/** Steps of all keys, by turns; each takes 20 ms, and of some the first attempt fails. */
function stepsOf(service: string, keys: string[], count: number): CloudEvent[] {
  return Array.from({ length: count }, (_, n) =>
    keys.map((key) => stepOf(service, key, n, { ms: 20, stumbles: n % 10 === 3 ? 1 : 0 })),
  ).flat();
}

/** Each when the one before it with its key is confirmed, as public-web does. */
async function publishInOrder({ publisher }: ListenerBench, events: CloudEvent[]): Promise<void> {
  const keys = Map.groupBy(events, ({ partitionkey }) => partitionkey);
  await Promise.all(
    [...keys.values()].map(async (ofKey) => {
      for (const event of ofKey) {
        const message = { to: destinationOf(event), ...encodeMessage([encodeEvent(event)]) };
        await publishUntilConfirmed(publisher, message, new AbortController().signal);
      }
    }),
  );
}

/** As a dispatcher does: in one message what is of one partition. */
async function publishInBatches({ publisher }: ListenerBench, events: CloudEvent[]): Promise<void> {
  const partitions = Map.groupBy(events, partitionOf);
  await Promise.all(
    [...partitions.values()].map(async (ofPartition) => {
      const [first] = ofPartition as [CloudEvent];
      for (let at = 0; at < ofPartition.length; at += BATCH_SIZE) {
        const batch = ofPartition.slice(at, at + BATCH_SIZE);
        const message = { to: destinationOf(first), ...encodeMessage(batch.map(encodeEvent)) };
        await publishUntilConfirmed(publisher, message, new AbortController().signal);
      }
    }),
  );
}

const isStarted = ({ msg }: { msg?: string | undefined }) => msg === 'started';

/** The listener that is the first to begin with an event. */
function firstAtWork(listeners: Service[]): Promise<Service> {
  return Promise.race(listeners.map((listener) => listener.waitForLog(isStarted).then(() => listener)));
}

/** Of each key the first answers to its events have to have come in the order of the events. */
function expectInOrder(bench: ListenerBench, events: CloudEvent[]): void {
  assert.deepEqual(
    Object.groupBy(new Set(answersTo(bench, events)), byKey),
    Object.groupBy(
      events.map(({ id }) => id),
      byKey,
    ),
  );
}

/** What came again of a key goes on from there: each answer is to the event behind the one before, or to one again. */
function expectNoGaps(bench: ListenerBench, events: CloudEvent[]): void {
  const answered = Object.groupBy(answersTo(bench, events), byKey);
  for (const [key, ids = []] of Object.entries(answered)) {
    const numbers = ids.map((id) => Number(id.split('/').at(-1)));
    const isNext = (n: number, index: number) => n <= (numbers[index - 1] ?? -1) + 1;
    assert.ok(numbers.every(isNext), `${key}: ${numbers}`);
    assert.equal(numbers.at(-1), Math.max(...numbers), `${key}: ${numbers}`);
  }
}

/** The ids of these events in the order of their answers, each as often as it was answered. */
function answersTo(bench: ListenerBench, events: CloudEvent[]): string[] {
  const ids = new Map(events.map(({ correlationid, id }) => [correlationid, id]));
  const replies = bench.replyMessages().flat();
  return replies.map(({ correlationid }) => ids.get(correlationid)).filter((id) => id !== undefined);
}

const byKey = (id: string) => id.replace(/\/\d+$/, '');
