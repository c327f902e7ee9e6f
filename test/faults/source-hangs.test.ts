import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import type { ChannelModel } from 'amqplib';
import {
  connectClient,
  contradictions,
  type DatasetConsumer,
  firstOccurrences,
  repetitions,
  startDatasetConsumer,
} from '../e2e/dataset-consumer.ts';
import { type System, startSystem } from '../e2e/system.ts';

/** Small batches, so that a stream takes long enough to be frozen in its middle. */
const BATCH_SIZE = 5;
const BATCHES = 2_000;

describe('a dataset service that hangs', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  let system: System;
  let model: ChannelModel;
  let generator: Service;
  let listener: Service;
  before(async () => {
    broker = await freshBroker();
    const counts = { 'dataset-generator': 1, 'data-dispatch-listener': 1, 'ping-listener': 0 };
    const env = { BATCH_SIZE: String(BATCH_SIZE), MAX_RETRIES: '1' };
    system = await startSystem({ amqpUrl: broker.url, counts, env });
    [generator] = system.datasetGenerators as [Service];
    [listener] = system.dataDispatchListeners as [Service];
    model = await connectClient(broker.url);
  });
  after(async () => {
    generator?.kill('SIGCONT');
    if (model) breakConnection(model, new Error('the test is over'));
    await system?.stop();
    await broker?.close();
  });

  it('is given a deadline, and the stream goes on behind what was confirmed once it is back', async () => {
    const baseUrl = system.publicWebs[0]?.baseUrl as string;
    const consumer: DatasetConsumer = await startDatasetConsumer({ baseUrl, amqpUrl: broker.url, model });
    await eventually(() => assert.ok(consumer.received.length > 0), { intervalMs: 1 });
    generator.kill('SIGSTOP');

    // Two calls of 5 s each, and the chunk is put aside.
    const cut = await listener.waitForLog(({ msg }) => msg === 'chunk cut short', 60_000);
    assert.equal((cut.err as { code?: string }).code, 'dataset-unavailable');
    const before = consumer.received.length;
    assert.ok(before < BATCHES, 'the stream was over before the fault');

    generator.kill('SIGCONT');
    await consumer.complete;
    assert.deepEqual(
      firstOccurrences(consumer.received),
      Array.from({ length: BATCHES }, (_, index) => index),
    );
    assert.deepEqual(contradictions(consumer.received), []);
    assert.deepEqual(repetitions(consumer.received), []);
    await consumer.close();
    await broker.emptied();
  });
});
