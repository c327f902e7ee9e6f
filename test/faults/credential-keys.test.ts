import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import { DEAD_LETTERS_QUEUE } from '@waybill/common/broker/amqp-topology.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import type { Channel, ChannelModel } from 'amqplib';
import { makePrivateKey, publicKeyOf } from '../../bin/plain/sealing-keys.mjs';
import { askForDataset, connectClient, newClient } from '../e2e/dataset-consumer.ts';
import { brokerOf } from '../e2e/system.ts';
import { createTiers, type Tiers } from './tiers.ts';

const BATCH_SIZE = 100;
const BATCHES = 100;
/** A stream whose client takes nothing pauses about here, and stays under way for as long as the test wants. */
const MAX_READY = 40;
/** A few pauses of up to 5 s, on a machine that may be slow. */
const FINISHED_MS = 60_000;

describe("the key of clients' credentials", { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  let tiers: Tiers;
  let model: ChannelModel;
  let channel: Channel;
  let datasets: Record<string, string>;
  let dispatcherUrl: string;
  before(async () => {
    broker = await freshBroker();
    tiers = await createTiers(broker.url);
    model = await connectClient(broker.url);
    channel = await model.createChannel();
    const port = String(await freePort());
    datasets = { DATASET_SERVICE_ADDR: `127.0.0.1:${port}`, CLIENT_BROKERS: brokerOf(broker.url) };
    await tiers.start({ name: 'dataset-generator', env: { GRPC_PORT: port } });
    dispatcherUrl = (await tiers.startDispatcher()).baseUrl;
  });
  after(async () => {
    if (model) breakConnection(model, new Error('the test is over'));
    await tiers?.stopAll();
    await broker?.close();
  });

  const startListener = (...privateKeys: object[]) =>
    tiers.start({
      name: 'data-dispatch-listener',
      env: {
        ...datasets,
        CREDENTIALS_PRIVATE_KEYS: JSON.stringify(privateKeys),
        BATCH_SIZE: String(BATCH_SIZE),
        CLIENT_QUEUE_MAX_READY: String(MAX_READY),
        TCP_PORT: '0',
      },
    });
  const startWeb = (privateKey: Parameters<typeof publicKeyOf>[0]) =>
    tiers.startPublicWeb({
      DISPATCHER_URLS: dispatcherUrl,
      CREDENTIALS_PUBLIC_KEY: JSON.stringify(publicKeyOf(privateKey)),
      CLIENT_BROKERS: brokerOf(broker.url),
      GRPC_PORT: '0',
    });

  /** Asks for a dataset and takes nothing of it; resolves with its queue when it is under way. */
  async function beginStream({ baseUrl }: Service): Promise<string> {
    const client = newClient(broker.url);
    await channel.assertQueue(client.queue_name, { durable: true });
    await askForDataset(baseUrl, client);
    await eventually(async () => {
      const { messageCount } = await channel.checkQueue(client.queue_name);
      assert.ok(messageCount > 0);
    });
    return client.queue_name;
  }

  /** Takes a stream from its queue; resolves when every batch has come, and rejects with what is missing. */
  async function finishStream(queue: string): Promise<void> {
    const indexes = new Set<number>();
    await channel.consume(queue, (message) => {
      if (!message) return;
      channel.ack(message);
      indexes.add(message.properties.headers?.batch_index);
    });
    await eventually(() => assert.equal(indexes.size, BATCHES), { timeoutMs: FINISHED_MS });
    await channel.deleteQueue(queue);
  }

  it('is replaced while streams are under way, as operations.md has it, and each is complete', async () => {
    const [oldKey, newKey] = [makePrivateKey(), makePrivateKey()];
    const oldListener = await startListener(oldKey);
    const oldWeb = await startWeb(oldKey);
    const first = await beginStream(oldWeb);

    const bothListener = await startListener(newKey, oldKey);
    await tiers.stop(oldListener);
    const second = await beginStream(oldWeb);
    const newWeb = await startWeb(newKey);
    await tiers.stop(oldWeb);
    const third = await beginStream(newWeb);
    await Promise.all([first, second].map(finishStream));

    await startListener(newKey);
    await tiers.stop(bothListener);
    const fourth = await beginStream(newWeb);
    await Promise.all([third, fourth].map(finishStream));
    const { [DEAD_LETTERS_QUEUE]: letters } = await broker.queues();
    assert.deepEqual(letters, { ready: 0, unacked: 0 });
  });
});
