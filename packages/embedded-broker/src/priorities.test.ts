import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { GetMessage } from 'amqplib';
import {
  type Client,
  consume,
  drain,
  message,
  onBothBrokers,
  openClient,
  publishAll,
} from './both-brokers.fixture.ts';
import { createEmbeddedBroker } from './create-embedded-broker.ts';

/** Publishes a message for each priority, with that as its body. */
async function publishEach({ channel, name }: Client, priorities: (number | undefined)[]): Promise<void> {
  for (const priority of priorities) channel.sendToQueue(name, Buffer.from(String(priority)), { priority });
  await channel.waitForConfirms();
}

onBothBrokers('a queue with priorities', (open) => {
  it('delivers the highest first, up to its maximum, and those of one priority as they came', async (t) => {
    const client = await open(t);
    await client.channel.assertQueue(client.name, { maxPriority: 5 });
    await publishEach(client, [undefined, 1, 3, 9, 5, 0, 3]);
    assert.deepEqual(await drain(client.channel, client.name), ['9', '5', '3', '3', '1', 'undefined', '0']);
  });

  it('delivers what comes back before what came later', async (t) => {
    const client = await open(t);
    const { channel, name } = client;
    await channel.assertQueue(name, { maxPriority: 2 });
    await publishEach(client, [0, 2, 1]);
    const [first, second] = [await channel.get(name), await channel.get(name)] as GetMessage[];
    channel.nack(first as GetMessage);
    await publishEach(client, [2]);
    channel.nack(second as GetMessage);
    assert.deepEqual(await drain(channel, name), ['2', '2', '1', '0']);
  });

  it('drops from its head when it is full, so the highest', async (t) => {
    const client = await open(t);
    await client.channel.assertQueue(client.name, { maxPriority: 5, maxLength: 2 });
    await publishEach(client, [1, 3, 2, 0]);
    assert.deepEqual(await drain(client.channel, client.name), ['1', '0']);
  });

  it('takes any priority where it was declared without, and keeps the order', async (t) => {
    const client = await open(t);
    await client.channel.assertQueue(client.name);
    await publishEach(client, [1, 255, 0]);
    assert.deepEqual(await drain(client.channel, client.name), ['1', '255', '0']);
  });
});

onBothBrokers('consumers with priorities', (open) => {
  for (const type of ['classic', 'quorum'])
    it(`get messages of a ${type} queue in turn, the higher first for as long as they have room`, async (t) => {
      const { channel, name } = await open(t);
      await channel.assertQueue(name, { arguments: { 'x-queue-type': type } });
      await channel.prefetch(2);
      const priorities = { none: undefined, low: -5, high: 5, alsoHigh: 5 };
      const order: string[] = [];
      let arrived = () => {};
      for (const [who, priority] of Object.entries(priorities)) {
        const take = () => {
          order.push(who);
          arrived();
        };
        await channel.consume(name, take, { priority });
      }
      for (let i = 0; i < 8; i += 1) {
        const delivered = new Promise<void>((resolve) => (arrived = resolve));
        channel.sendToQueue(name, Buffer.from('x'));
        await delivered;
      }
      assert.deepEqual(order, ['high', 'alsoHigh', 'high', 'alsoHigh', 'none', 'none', 'low', 'low']);
    });

  it('leave the single active consumer of a classic queue alone', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name, { arguments: { 'x-single-active-consumer': true } });
    const first = await consume(channel, name, { noAck: true });
    const higher = await consume(channel, name, { noAck: true, priority: 5 });
    await publishAll(channel, name, ['1', '2']);
    await message(first);
    await message(first);
    assert.equal(higher.count(), 0);
  });
});

describe('a queue with priorities of the embedded broker', () => {
  // RabbitMQ lets it wait for the next that happens to the queue.
  it('expires a message that comes before others on time', async (t) => {
    const broker = await createEmbeddedBroker();
    t.after(() => broker.close());
    const { channel, name } = await openClient(broker.url, t);
    await channel.assertQueue(`${name}.dead`);
    const dead = await consume(channel, `${name}.dead`, { noAck: true });
    await channel.assertQueue(name, {
      maxPriority: 5,
      deadLetterExchange: '',
      deadLetterRoutingKey: `${name}.dead`,
    });
    channel.sendToQueue(name, Buffer.from('low'));
    channel.sendToQueue(name, Buffer.from('high'), { priority: 5, expiration: '20' });
    assert.equal(String((await message(dead)).content), 'high');
    assert.deepEqual(await drain(channel, name), ['low']);
  });
});
