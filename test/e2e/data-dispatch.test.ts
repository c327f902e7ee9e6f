import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { credentials } from '@grpc/grpc-js';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import type { ChannelModel, GetMessage } from 'amqplib';
import {
  askForDataset,
  connectClient,
  contradictions,
  firstOccurrences,
  newClient,
  startDatasetConsumer,
} from './dataset-consumer.ts';
import { type System, startSystem } from './system.ts';

const BATCHES = 334;
const CLIENTS = rabbitmqMissing ? 10 : 100;
const MAX_READY = 50;
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

/** A client of the public gRPC port that has nothing but the proto file. */
function notify(port: number | undefined, request: object): Promise<{ status: string; message: string }> {
  const { DataDispatcherService } = loadPackage('data_dispatcher_service.proto').data_dispatcher_service;
  const client = new DataDispatcherService(`127.0.0.1:${port}`, credentials.createInsecure());
  return new Promise((resolve, reject) => {
    client.NotifyNewClient(request, (error, answer) => {
      client.close();
      if (answer) resolve(answer);
      else reject(error);
    });
  });
}

describe('the data dispatch', () => {
  let broker: TestBroker;
  let system: System;
  let model: ChannelModel;
  before(async () => {
    broker = await freshBroker();
    const counts = { 'dataset-generator': 1, 'data-dispatch-listener': 2, 'ping-listener': 0 };
    system = await startSystem({ amqpUrl: broker.url, counts });
    model = await connectClient(broker.url);
  });
  after(async () => {
    await model?.close();
    await system?.stop();
    await broker?.close();
  });
  const baseUrl = () => system.publicWebs[0]?.baseUrl as string;

  async function ready(queue: string): Promise<number> {
    const channel = await model.createChannel();
    channel.on('error', () => {});
    const { messageCount } = await channel.checkQueue(queue);
    await channel.close();
    return messageCount;
  }

  async function takeAll(queue: string): Promise<GetMessage[]> {
    const channel = await model.createChannel();
    const messages: GetMessage[] = [];
    for (;;) {
      const message = await channel.get(queue, { noAck: true });
      if (!message) break;
      messages.push(message);
    }
    await channel.deleteQueue(queue);
    await channel.close();
    return messages;
  }

  it('puts MNIST into a queue that was not there, to the field as existing clients expect it', async () => {
    const client = newClient(broker.url, `user123-${randomUUID()}`);
    const grpcPort = system.publicWebs[0]?.logs.find(({ grpcPort: port }) => port)?.grpcPort;
    const answer = await notify(Number(grpcPort), client);
    assert.deepEqual(answer, { status: 'OK', message: 'Client processing started' });
    await eventually(async () => assert.equal(await ready(client.queue_name).catch(() => 0), BATCHES), {
      timeoutMs: 30_000,
    });
    const messages = await takeAll(client.queue_name);
    const bodies = messages.map(({ content }) => JSON.parse(content.toString()));
    assert.deepEqual(
      bodies.map(({ batch_index }) => batch_index),
      range(BATCHES),
    );
    assert.deepEqual(
      bodies.filter(({ is_last_batch }) => is_last_batch).map(({ batch_index }) => batch_index),
      [333],
    );
    const bytes = bodies.reduce((sum, { data }) => sum + Buffer.from(data, 'base64').length, 0);
    assert.equal(bytes, 10_000 * 28 * 28 * 4);
    for (const [index, { properties, fields }] of messages.entries()) {
      const body = bodies[index];
      assert.deepEqual(Object.keys(body), ['client_id', 'batch_index', 'data', 'is_last_batch', 'timestamp']);
      assert.equal(body.client_id, client.client_id);
      assert.match(body.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
      assert.equal(properties.contentType, 'application/json');
      assert.equal(properties.deliveryMode, 2);
      assert.ok(Math.abs(properties.timestamp * 1000 - Date.now()) < 60_000);
      assert.deepEqual([fields.exchange, fields.routingKey], ['', client.queue_name]);
      const { client_id, batch_index, is_last_batch, stream_id } = properties.headers ?? {};
      assert.deepEqual(
        { client_id, batch_index, is_last_batch },
        { client_id: client.client_id, batch_index: index, is_last_batch: index === 333 },
      );
      assert.equal(stream_id, messages[0]?.properties.headers?.stream_id);
    }
  });

  it(`serves ${CLIENTS} clients at once, each in order and complete, and none much later than the others`, async () => {
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
    await eventually(async () => assert.equal(await ready(client.queue_name).catch(() => 0), 2 * BATCHES), {
      timeoutMs: 30_000,
    });
    const messages = await takeAll(client.queue_name);
    for (const id of ids) {
      const own = messages.filter(({ properties }) => properties.headers?.stream_id === id);
      assert.deepEqual(
        own.map(({ properties }) => properties.headers?.batch_index),
        range(BATCHES),
      );
    }
  });

  it('hands over at a batch boundary on SIGTERM: another instance goes on, and nothing is sent twice', async () => {
    const consumers = await Promise.all(
      range(5).map(() => startDatasetConsumer({ baseUrl: baseUrl(), amqpUrl: broker.url, model })),
    );
    await eventually(() => assert.ok(consumers.every(({ received }) => received.length > 0)));
    const [first] = system.dataDispatchListeners;
    assert.deepEqual(await first?.stop(), { code: 0, signal: null });
    await Promise.all(consumers.map(({ complete }) => complete));
    for (const { received } of consumers) {
      assert.deepEqual(
        received.map(({ index }) => index),
        range(BATCHES),
      );
      assert.deepEqual(contradictions(received), []);
      assert.deepEqual(firstOccurrences(received), range(BATCHES));
    }
    await Promise.all(consumers.map((consumer) => consumer.close()));
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
    while (indexes.length < BATCHES) {
      const before = pauses();
      await listener?.waitForLog(({ msg }) => msg === 'dataset sent' || pauses() > before, 20_000);
      const { messageCount } = await channel.checkQueue(client.queue_name);
      most = Math.max(most, messageCount);
      for (let count = 0; count < messageCount; count += 1) {
        const message = await channel.get(client.queue_name, { noAck: true });
        if (message) indexes.push(message.properties.headers?.batch_index);
      }
    }
    assert.deepEqual(indexes, range(BATCHES));
    assert.ok(most <= MAX_READY + 32, `${most} messages waited`);
    await channel.deleteQueue(client.queue_name);
  });
});
