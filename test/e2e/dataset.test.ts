import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { credentials } from '@grpc/grpc-js';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import type { ChannelModel } from 'amqplib';
import {
  askForDataset,
  connectClient,
  contradictions,
  firstOccurrences,
  newClient,
  readyIn,
  startDatasetConsumer,
  takeAll,
} from './dataset-consumer.ts';
import { grpcAddressOf, type System, startSystem, tcpPortOf } from './system.ts';

const run = promisify(execFile);
const BATCHES = 334;
/** The listener's default. */
const MAX_READY = 1_000;
const range = (count: number) => Array.from({ length: count }, (_, index) => index);

/** A client of the public gRPC port that has nothing but the proto file. */
function notify(address: string, request: object): Promise<{ status: string; message: string }> {
  const { DataDispatcherService } = loadPackage('data_dispatcher_service.proto').data_dispatcher_service;
  const client = new DataDispatcherService(address, credentials.createInsecure());
  return new Promise((resolve, reject) => {
    client.NotifyNewClient(request, (error, answer) => {
      client.close();
      if (answer) resolve(answer);
      else reject(error);
    });
  });
}

describe('a dataset', () => {
  let broker: TestBroker;
  let system: System;
  let model: ChannelModel;
  before(async () => {
    broker = await freshBroker();
    system = await startSystem({
      amqpUrl: broker.url,
      counts: { 'dataset-generator': 1, 'data-dispatch-listener': 2, 'ping-listener': 0 },
    });
    model = await connectClient(broker.url);
  });
  after(async () => {
    await model?.close();
    await system?.stop();
    await broker.close();
  });

  function receive(...options: string[]) {
    const url = new URL(broker.url);
    url.pathname = '';
    const args = ['bin/dataset-client.mjs', '--client', `c-${randomUUID()}`, '--batches', '334', ...options];
    return run(process.execPath, args, { env: { ...bareEnvironment(), AMQP_URL: url.href } });
  }

  // The first of all, because later streams find most batches at the listeners.
  it('arrives whole when the dataset-generator restarts under way', async () => {
    const channel = await model.createConfirmChannel();
    const client = newClient(broker.url);
    await channel.assertQueue(client.queue_name, { durable: true });
    // So full that the stream waits after its first chunk.
    for (let index = 0; index < MAX_READY; index += 1)
      channel.sendToQueue(client.queue_name, Buffer.from('filler'), { type: 'filler' });
    await channel.waitForConfirms();
    await askForDataset(system.publicWebs[0]?.baseUrl as string, client);
    await eventually(async () => {
      const { messageCount } = await channel.checkQueue(client.queue_name);
      assert.ok(messageCount > MAX_READY, 'no batch has come');
    });

    const replaced = system.replaceDatasetGenerator();
    const { promise: complete, resolve } = Promise.withResolvers<void>();
    const indexes: number[] = [];
    await channel.consume(
      client.queue_name,
      (message) => {
        if (!message || message.properties.type === 'filler') return;
        indexes.push(message.properties.headers?.batch_index);
        if (message.properties.headers?.is_last_batch) resolve();
      },
      { noAck: true },
    );
    await Promise.all([replaced, complete]);
    assert.deepEqual(indexes, range(BATCHES));
    await channel.deleteQueue(client.queue_name);
    await channel.close();
  });

  it('puts MNIST into a queue that was not there, to the field as existing clients expect it', async () => {
    const client = newClient(broker.url, `user123-${randomUUID()}`);
    const answer = await notify(grpcAddressOf(system.publicWebs[0] as Service), client);
    assert.deepEqual(answer, { status: 'OK', message: 'Client processing started' });
    await eventually(async () => assert.equal(await readyIn(model, client.queue_name), BATCHES));
    const messages = await takeAll(model, client.queue_name);
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

  it('arrives in the queue of each client that was notified over gRPC or HTTP, once, in order', async () => {
    const publicWeb = system.publicWebs[0];
    assert.ok(publicWeb);
    const outcomes = await Promise.all([
      receive('--url', grpcAddressOf(publicWeb)),
      receive('--url', grpcAddressOf(publicWeb)),
      receive('--http', publicWeb.baseUrl),
    ]);
    for (const { stdout } of outcomes) {
      assert.match(stdout, /^data {6}31\.4 MB \(31360000 bytes\)$/m);
      assert.match(stdout, /^repeated {2}0$/m);
      assert.doesNotMatch(stdout, /^others/m);
    }
  });

  it('is streamed by TCP to whoever connects', async () => {
    const ports = system.dataDispatchListeners.map(tcpPortOf);
    const outcomes = await Promise.all(
      ports.map((port) =>
        run(process.execPath, ['bin/tcp-client.mjs', '--port', String(port), '--batches', '334']),
      ),
    );
    for (const { stdout } of outcomes) assert.match(stdout, /^data {6}31\.4 MB \(31360000 bytes\)$/m);
  });

  it('hands over at a batch boundary on SIGTERM: another instance goes on, and nothing is sent twice', async () => {
    const consumers = await Promise.all(
      range(5).map(() =>
        startDatasetConsumer({
          baseUrl: system.publicWebs[0]?.baseUrl as string,
          amqpUrl: broker.url,
          model,
        }),
      ),
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
