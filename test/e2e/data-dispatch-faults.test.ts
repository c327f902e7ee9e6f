import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { type Rabbitmq, startRabbitmq } from '@waybill/test-harness/rabbitmq.ts';
import { cannotStartRabbitmq } from '@waybill/test-harness/test-broker.ts';
import type { ChannelModel } from 'amqplib';
import {
  connectClient,
  contradictions,
  firstOccurrences,
  repetitions,
  startDatasetConsumer,
} from './dataset-consumer.ts';
import { type System, startSystem } from './system.ts';

const BATCHES = 334;
const CHUNK = 32;
const CLIENTS = 5;
const all = Array.from({ length: BATCHES }, (_, index) => index);

describe('a stream while something is killed', { skip: cannotStartRabbitmq }, () => {
  let rabbitmq: Rabbitmq;
  let system: System;
  let model: ChannelModel;
  let consumers: Awaited<ReturnType<typeof startDatasetConsumer>>[];
  before(async () => {
    rabbitmq = await startRabbitmq();
    const counts = { 'dataset-generator': 1, 'data-dispatch-listener': 2, 'ping-listener': 0 };
    system = await startSystem({ amqpUrl: rabbitmq.url, counts });
  });
  after(async () => {
    await system?.stop();
    await rabbitmq?.stop();
  });
  beforeEach(async () => {
    model = await connectClient(rabbitmq.url);
    const baseUrl = system.publicWebs[0]?.baseUrl as string;
    consumers = await Promise.all(
      Array.from({ length: CLIENTS }, () => startDatasetConsumer({ baseUrl, amqpUrl: rabbitmq.url, model })),
    );
    await eventually(() => assert.ok(consumers.every(({ received }) => received.length > 0)));
  });
  afterEach(() => breakConnection(model, new Error('the test is over')));

  /** Everything has come, as promised; resolves with how many batches were published twice, of each client. */
  async function assertComplete(): Promise<number[]> {
    await Promise.all(consumers.map(({ complete }) => complete));
    for (const { received } of consumers) {
      assert.deepEqual(firstOccurrences(received), all);
      assert.deepEqual(contradictions(received), []);
    }
    return consumers.map(({ received }) => repetitions(received).length);
  }

  function assertUnderWay(): void {
    const isUnderWay = ({ received }: { received: unknown[] }) => received.length < BATCHES;
    assert.ok(consumers.some(isUnderWay), 'all streams were over before the fault');
  }

  // The first of all, because later streams find most batches at the listeners.
  it('repeats nothing when the dataset service is killed, and goes on when it is back', async () => {
    assertUnderWay();
    await system.replaceDatasetGenerator();
    assert.deepEqual(Math.max(...(await assertComplete())), 0);
  });

  it('repeats at most a chunk when a listener is killed', async () => {
    assertUnderWay();
    await system.kill(system.dataDispatchListeners[0] as never);
    const repeated = await assertComplete();
    assert.ok(Math.max(...repeated) <= CHUNK, `repeated: ${repeated}`);
  });

  it('repeats nothing when a dispatcher is killed', async () => {
    assertUnderWay();
    await system.kill(system.dispatchers[0] as never);
    assert.deepEqual(Math.max(...(await assertComplete())), 0);
    await system.replaceDispatcher(0);
  });

  // By one listener: of two, both may go on with one stream until one meets what it has confirmed (docs/data-dispatch.md).
  it('repeats at most a chunk when the broker is killed', async () => {
    assertUnderWay();
    await rabbitmq.kill('SIGKILL');
    await rabbitmq.restart();
    model = await connectClient(rabbitmq.url);
    await Promise.all(consumers.map(({ consume }) => consume(model)));
    const repeated = await assertComplete();
    assert.ok(Math.max(...repeated) <= CHUNK, `repeated: ${repeated}`);
  });
});
