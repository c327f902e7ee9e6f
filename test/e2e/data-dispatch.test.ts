import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import type { ChannelModel } from 'amqplib';
import { floats, npyFile } from '../../packages/dataset-generator/src/dataset-files.fixture.ts';
import {
  askForDataset,
  connectClient,
  newClient,
  readyIn,
  startDatasetConsumer,
  takeAll,
} from './dataset-consumer.ts';
import { type System, startSystem } from './system.ts';

const BATCHES = 100;
const CLIENTS = 100;
/** Of one number a sample: a hundred times MNIST would keep the broker busy for minutes. */
const SMALL = { name: 'small', samples: 30 * BATCHES };
const MNIST_BATCHES = 334;
const MAX_READY = 50;
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('the data dispatch', () => {
  let broker: TestBroker;
  let system: System;
  let model: ChannelModel;
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'waybill-datasets-'));
    const data = floats(range(SMALL.samples));
    await writeFile(join(folder, `${SMALL.name}.npy`), npyFile({ shape: `(${SMALL.samples}, 1)`, data }));
    broker = await freshBroker();
    const counts = { 'dataset-generator': 1, 'data-dispatch-listener': 2, 'ping-listener': 0 };
    const env = { DATASETS_DIR: folder, DATASET_NAME: SMALL.name };
    system = await startSystem({ amqpUrl: broker.url, counts, env });
    model = await connectClient(broker.url);
  });
  after(async () => {
    await model?.close();
    await system?.stop();
    await broker?.close();
    await rm(folder, { recursive: true });
  });
  const baseUrl = () => system.publicWebs[0]?.baseUrl as string;

  it('serves 100 clients at once, each in order and complete, and none much later than the others', async () => {
    const consumers = await Promise.all(
      range(CLIENTS).map(() => startDatasetConsumer({ baseUrl: baseUrl(), amqpUrl: broker.url, model })),
    );
    const durationsMs = await Promise.all(consumers.map(({ complete }) => complete));
    for (const { received } of consumers) {
      assert.deepEqual(
        received.map(({ index }) => index),
        range(BATCHES),
      );
      assert.deepEqual(received.filter(({ isLast }) => isLast).length, 1);
    }
    const sorted = durationsMs.toSorted((a, b) => a - b);
    const [median, slowest] = [sorted[Math.floor(CLIENTS / 2)] as number, sorted.at(-1) as number];
    assert.ok(slowest <= 2 * median, `slowest ${slowest} ms, median ${median} ms`);
    await Promise.all(consumers.map((consumer) => consumer.close()));
  });

  it('keeps two streams of a client that asked twice apart by their stream_id', async () => {
    const client = newClient(broker.url);
    const ids = await Promise.all([askForDataset(baseUrl(), client), askForDataset(baseUrl(), client)]);
    await eventually(async () => assert.equal(await readyIn(model, client.queue_name), 2 * BATCHES));
    const messages = await takeAll(model, client.queue_name);
    for (const id of ids) {
      const own = messages.filter(({ properties }) => properties.headers?.stream_id === id);
      assert.deepEqual(
        own.map(({ properties }) => properties.headers?.batch_index),
        range(BATCHES),
      );
    }
  });
});

describe('a client that does not drain its queue', () => {
  let broker: TestBroker;
  let system: System;
  let model: ChannelModel;
  before(async () => {
    broker = await freshBroker();
    const counts = { 'dataset-generator': 1, 'data-dispatch-listener': 1, 'ping-listener': 0 };
    const env = { CLIENT_QUEUE_MAX_READY: String(MAX_READY), LOG_LEVEL: 'debug' };
    system = await startSystem({ amqpUrl: broker.url, counts, env });
    model = await connectClient(broker.url);
  });
  after(async () => {
    await model?.close();
    await system?.stop();
    await broker?.close();
  });

  it('has its stream paused, and gets the rest when it drains', async () => {
    const client = newClient(broker.url);
    await askForDataset(system.publicWebs[0]?.baseUrl as string, client);
    const [listener] = system.dataDispatchListeners;
    const channel = await model.createChannel();
    const pauses = () => listener?.logs.filter(({ msg }) => /is full, waiting/.test(msg ?? '')).length ?? 0;
    let most = 0;
    const indexes: number[] = [];
    while (indexes.length < MNIST_BATCHES) {
      const before = pauses();
      await listener?.waitForLog(({ msg }) => msg === 'dataset sent' || pauses() > before);
      const { messageCount } = await channel.checkQueue(client.queue_name);
      most = Math.max(most, messageCount);
      for (let count = 0; count < messageCount; count += 1) {
        const message = await channel.get(client.queue_name, { noAck: true });
        if (message) indexes.push(message.properties.headers?.batch_index);
      }
    }
    assert.deepEqual(indexes, range(MNIST_BATCHES));
    assert.ok(most <= MAX_READY + 32, `${most} messages waited`);
    await channel.deleteQueue(client.queue_name);
  });
});
