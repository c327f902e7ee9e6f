import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { askForDataset, connectClient, newClient } from './dataset-consumer.ts';
import { grpcAddressOf, type System, startSystem, tcpPortOf } from './system.ts';

const run = promisify(execFile);
const BATCHES = 334;
/** The listener's default. */
const MAX_READY = 1_000;

describe('a dataset', () => {
  let broker: TestBroker;
  let system: System;
  before(async () => {
    broker = await freshBroker();
    system = await startSystem({
      amqpUrl: broker.url,
      counts: { 'dataset-generator': 1, 'data-dispatch-listener': 2, 'ping-listener': 0 },
    });
  });
  after(async () => {
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
    const model = await connectClient(broker.url);
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
    assert.deepEqual(
      indexes,
      Array.from({ length: BATCHES }, (_, index) => index),
    );
    await channel.deleteQueue(client.queue_name);
    await model.close();
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
});
