import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import type { OutgoingMessage } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { BATCH_CONTENT_TYPE, decodeMessage, EVENT_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import pLimit from 'p-limit';
import { pino } from 'pino';
import { createHandleDelivery } from './handle-delivery.ts';
import { attemptsIn, makeRequest } from './listener-bench.fixture.ts';
import { createMemoryBench, type ListenerHere, type MemoryBench } from './memory-bench.fixture.ts';
import { makeDelivery, makePublisher } from './ports.fixture.ts';
import { createSurvivedLosses } from './survived-losses.ts';

const SERVICE = 'deliveries';

describe('a listener handling a message', () => {
  let bench: MemoryBench;
  let listener: ListenerHere;
  before(async () => {
    bench = await createMemoryBench();
    listener = await bench.startReady(SERVICE);
  });
  after(() => bench.close());

  const good = makeRequest(SERVICE, 'Echo');
  const unparsable: Record<string, [contentType: string, body: string]> = {
    'not JSON': [EVENT_CONTENT_TYPE, `{"id": "${randomUUID()}"`],
    'no event': [EVENT_CONTENT_TYPE, JSON.stringify({ id: randomUUID() })],
    'no batch': [BATCH_CONTENT_TYPE, JSON.stringify(makeRequest(SERVICE, 'Echo'))],
    'an event at fault among good ones': [BATCH_CONTENT_TYPE, JSON.stringify([good, { ...good, id: '' }])],
    'an empty batch': [BATCH_CONTENT_TYPE, '[]'],
    'an event of another content type': ['application/json', JSON.stringify(makeRequest(SERVICE, 'Echo'))],
    'an event without a content type': ['', JSON.stringify(makeRequest(SERVICE, 'Echo'))],
    nothing: [EVENT_CONTENT_TYPE, ''],
  };
  for (const [what, [contentType, body]] of Object.entries(unparsable))
    it(`dead-letters a message raw that holds ${what}, and goes on`, async () => {
      const earlier = bench.deadLetters().length;
      await bench.sendRaw({ to: { type: `${SERVICE}.Echo` }, contentType, body: Buffer.from(body) });
      const next = makeRequest(SERVICE, 'Echo');
      await bench.send(next);
      assert.equal((await bench.replyTo(next)).type, `${SERVICE}.Answer`);

      const dead = await bench.waitForDeadLetters(() => bench.deadLetters()[earlier]);
      assert.equal(dead.reason, 'unparsable');
      assert.equal(dead.body, body);
      assert.equal(dead.contentType, contentType);
      assert.equal(dead.queue, `waybill.${SERVICE}`);
    });

  it('has started nothing of them, and leaves no message behind', async () => {
    assert.equal(attemptsIn(listener.logs, good).length, 0);
    await bench.emptied();
  });

  it('never has more events under way than CONCURRENCY, however they are batched', async () => {
    const service = 'bounded';
    await bench.startReady(service, { concurrency: 4 });
    const events = Array.from({ length: 60 }, () => makeRequest(service, 'Work', { data: { ms: 10 } }));
    for (const [from, to] of [
      [0, 1],
      [1, 3],
      [3, 19],
      [19, 35],
      [35, 60],
    ])
      await bench.send(events.slice(from, to));
    const answers = await Promise.all(events.map((event) => bench.replyTo(event)));
    assert.equal(Math.max(...answers.map(({ data }) => (data as { underWay: number }).underWay)), 4);
  });
});

describe('a batch that comes back', () => {
  /** A handler of deliveries that tells what it published, which is confirmed on demand, and what it handled. */
  function setUp() {
    const published: OutgoingMessage[] = [];
    const handled: string[] = [];
    const confirm = Promise.withResolvers<'confirmed'>();
    const handleDelivery = createHandleDelivery({
      service: SERVICE,
      publisher: makePublisher((message) => {
        published.push(message);
        return confirm.promise;
      }),
      handleEvent: async ({ event }) => void handled.push(event.id),
      giveUp: async () => assert.fail('given up'),
      limit: pLimit(64),
      survivedLosses: createSurvivedLosses(),
      startWithinMs: 60_000,
      log: pino({ level: 'silent' }),
    });
    return { handleDelivery, published, handled, confirm: () => confirm.resolve('confirmed') };
  }

  function deliveryOf(events: CloudEvent[], { deliveryCount = 0, headers = {} } = {}) {
    let acks = 0;
    const delivery = makeDelivery(events, {
      ...{ from: { work: SERVICE }, queue: SERVICE, headers, deliveryCount },
      ack: () => void acks++,
      requeue: () => assert.fail('requeued'),
    });
    return { delivery, acks: () => acks };
  }

  const requests = (count: number) => Array.from({ length: count }, () => makeRequest(SERVICE, 'Echo'));

  it('has each of its events published alone, as on board of one death, and is acked then', async () => {
    const { handleDelivery, published, handled, confirm } = setUp();
    const events = requests(3);
    const { delivery, acks } = deliveryOf(events, { deliveryCount: 4 });
    const { settled } = handleDelivery(delivery);
    assert.equal(acks(), 0);
    confirm();
    await settled;
    assert.deepEqual(
      published.map((message) => decodeMessage(message).map(({ id }) => id)),
      events.map(({ id }) => [id]),
    );
    for (const { to, headers } of published) {
      assert.deepEqual(to, { service: SERVICE });
      assert.deepEqual(headers, { 'waybill-failed-attempts': 0, 'waybill-crashes': 1 });
    }
    assert.deepEqual([handled, acks()], [[], 1]);
  });

  it('holds back what may be guilty until it is acked, and nothing else', async () => {
    const { handleDelivery, handled, confirm } = setUp();
    const [guilty, fresh, ...batch] = requests(4) as [CloudEvent, CloudEvent, ...CloudEvent[]];
    const back = deliveryOf(batch, { deliveryCount: 1 });
    void handleDelivery(back.delivery);
    const suspect = handleDelivery(deliveryOf([guilty], { headers: { 'waybill-crashes': 1 } }).delivery);
    await handleDelivery(deliveryOf([fresh]).delivery).settled;
    assert.deepEqual([handled, back.acks()], [[fresh.id], 0]);
    confirm();
    await suspect.settled;
    assert.deepEqual([handled, back.acks()], [[fresh.id, guilty.id], 1]);
  });
});
