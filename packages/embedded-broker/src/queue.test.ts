import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import {
  consume,
  depth,
  drain,
  message,
  onBothBrokers,
  publishAll,
  refusalOf,
} from './both-brokers.fixture.ts';

onBothBrokers('a queue', (open) => {
  it('tells how many messages and consumers it has, and how many were purged or deleted', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name);
    await publishAll(channel, name, ['1', '2', '3']);
    await channel.get(name);
    assert.deepEqual(await channel.checkQueue(name), { queue: name, messageCount: 2, consumerCount: 0 });
    assert.deepEqual(await channel.purgeQueue(name), { messageCount: 2 });
    await publishAll(channel, name, ['4']);
    assert.deepEqual(await channel.deleteQueue(name), { messageCount: 1 });
    assert.deepEqual(await channel.deleteQueue(name), { messageCount: 0 });
  });

  it('is declared again as it is without a change', async (t) => {
    const { channel, name } = await open(t);
    const options = { maxLength: 3, arguments: { 'x-queue-type': 'quorum', 'x-custom': { a: [1, 'b'] } } };
    await channel.assertQueue(name, options);
    await publishAll(channel, name, ['1']);
    assert.equal((await channel.assertQueue(name, options)).messageCount, 1);
  });

  it('of one connection alone ends with it', async (t) => {
    const { name, another } = await open(t);
    const owner = await another();
    await owner.channel.assertQueue(name, { exclusive: true });
    await owner.connection.close();
    await eventually(async () => assert.equal((await refusalOfCheck()).code, 404));

    async function refusalOfCheck() {
      const client = await another();
      return refusalOf(client, () => client.channel.checkQueue(name));
    }
  });

  it('that deletes itself goes with its last consumer', async (t) => {
    const client = await open(t);
    const { channel, name } = client;
    await channel.assertQueue(name, { autoDelete: true });
    const { tag } = await consume(channel, name);
    await channel.cancel(tag);
    assert.equal((await refusalOf(client, () => channel.checkQueue(name))).code, 404);
  });

  it('takes times to live of ten years', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name, { messageTtl: 315_360_000_000, expires: 315_360_000_000 });
    channel.sendToQueue(name, Buffer.from('x'), { expiration: '315360000000' });
    await channel.waitForConfirms();
    assert.deepEqual(await drain(channel, name), ['x']);
  });

  it('expires when nobody uses it', async (t) => {
    const client = await open(t);
    await client.channel.assertQueue(client.name, { expires: 500 });
    const consumer = await consume(client.channel, client.name);
    await publishAll(client.channel, client.name, ['x']);
    await message(consumer);
    await client.channel.cancel(consumer.tag);
    // A look at it would be a use.
    await delay(1_000);
    assert.equal((await refusalOf(client, () => client.channel.checkQueue(client.name))).code, 404);
  });

  it('cancels its consumers when it is deleted', async (t) => {
    const { channel, name, another } = await open(t);
    await channel.assertQueue(name);
    const consumer = await consume(channel, name);
    await (await another()).channel.deleteQueue(name);
    assert.equal(await consumer.next(), null);
  });

  it('takes no ack amiss for a delivery whose queue is deleted', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name);
    await publishAll(channel, name, ['x']);
    const delivered = await channel.get(name);
    await channel.deleteQueue(name);
    channel.ack(delivered as never);
    await channel.assertQueue(name);
    assert.equal(await depth(channel, name), 0);
  });

  it('refuses by nack what it has no room for, and goes on with what it has', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name, { maxLength: 2, arguments: { 'x-overflow': 'reject-publish' } });
    const publish = (body: string) =>
      new Promise((resolve) =>
        channel.sendToQueue(name, Buffer.from(body), {}, (error) => resolve(error ? 'nack' : 'ack')),
      );
    assert.deepEqual(await Promise.all(['1', '2', '3', '4'].map(publish)), ['ack', 'ack', 'nack', 'nack']);
    assert.deepEqual(await drain(channel, name), ['1', '2']);
    assert.equal(await publish('5'), 'ack');
  });

  it('dead-letters what it has no room for, where that is asked for', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(`${name}.dead`);
    await channel.assertQueue(name, {
      maxLength: 1,
      deadLetterExchange: '',
      deadLetterRoutingKey: `${name}.dead`,
      arguments: { 'x-overflow': 'reject-publish-dlx' },
    });
    await publishAll(channel, name, ['1', '2']).catch(() => {});
    await eventually(async () => assert.deepEqual(await drain(channel, `${name}.dead`), ['2']));
  });

  it('keeps no more bytes than it may', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name, { arguments: { 'x-max-length-bytes': 250 } });
    await publishAll(
      channel,
      name,
      ['a', 'b', 'c'].map((letter) => letter.repeat(100)),
    );
    assert.deepEqual(
      (await drain(channel, name)).map((body) => body[0]),
      ['b', 'c'],
    );
  });

  it('gives a single active consumer everything, and the next one once that is gone', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name, { arguments: { 'x-single-active-consumer': true } });
    const [first, second] = [await consume(channel, name), await consume(channel, name)];
    await publishAll(channel, name, ['1', '2']);
    await message(first);
    channel.ackAll();
    await message(first);
    assert.equal(second.count(), 0);
    await channel.cancel(first.tag);
    await publishAll(channel, name, ['3']);
    assert.equal(String((await message(second)).content), '3');
  });

  it('takes its turn with its consumers', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name);
    const consumers = [await consume(channel, name), await consume(channel, name)];
    await publishAll(channel, name, ['1', '2', '3', '4']);
    for (const consumer of consumers) for (let i = 0; i < 2; i += 1) await message(consumer);
    assert.deepEqual(
      consumers.map((consumer) => consumer.count()),
      [2, 2],
    );
  });

  it('gives back what a lost connection had not acked, in the old order', async (t) => {
    const { channel, name, another } = await open(t);
    await channel.assertQueue(name);
    await publishAll(channel, name, ['1', '2', '3', '4', '5']);
    const lost = await another();
    await lost.channel.prefetch(3);
    const consumer = await consume(lost.channel, name);
    for (let i = 0; i < 3; i += 1) await message(consumer);
    breakConnection(lost.connection, new Error('cut'));
    await eventually(async () => assert.equal(await depth(channel, name), 5));
    const found = [];
    for (let i = 0; i < 5; i += 1) {
      const got = await channel.get(name, { noAck: true });
      if (got) found.push(`${got.content}${got.fields.redelivered ? ' again' : ''}`);
    }
    assert.deepEqual(found, ['1 again', '2 again', '3 again', '4', '5']);
  });
});
