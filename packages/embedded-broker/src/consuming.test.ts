import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { GetMessage } from 'amqplib';
import {
  consume,
  depth,
  drain,
  isRabbitmq43,
  message,
  onBothBrokers,
  publishAll,
} from './both-brokers.fixture.ts';

onBothBrokers('a consumer', (open) => {
  it('gets a message as it was published, properties and all', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name);
    const headers = {
      text: 'ü',
      int: 7,
      big: 2 ** 40,
      float: 1.5,
      yes: true,
      no: null,
      list: [1, 'a'],
      table: { a: 1 },
    };
    const properties = {
      contentType: 'a/b',
      contentEncoding: 'gzip',
      headers,
      deliveryMode: 2,
      priority: 3,
      correlationId: 'c',
      replyTo: 'r',
      expiration: '60000',
      messageId: 'm',
      timestamp: 1_700_000_000,
      type: 't',
      userId: 'guest',
      appId: 'a',
    };
    channel.sendToQueue(name, Buffer.from('body'), { ...properties, persistent: true } as never);
    await channel.waitForConfirms();
    const got = (await channel.get(name, { noAck: true })) as GetMessage;
    assert.deepEqual({ ...got.properties, clusterId: undefined }, { ...properties, clusterId: undefined });
  });

  for (const size of [0, 1, 131_064, 131_065, 1_000_000])
    it(`gets a body of ${size} bytes whole`, async (t) => {
      const { channel, name } = await open(t);
      await channel.assertQueue(name);
      const consumer = await consume(channel, name, { noAck: true });
      const body = Buffer.alloc(size, 'abc');
      channel.sendToQueue(name, body);
      assert.ok((await message(consumer)).content.equals(body));
    });

  it('has no more unacked than its prefetch, whichever way they are settled', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name);
    await publishAll(channel, name, ['1', '2', '3', '4', '5', '6']);
    await channel.prefetch(2);
    const consumer = await consume(channel, name);
    const [first, second] = [await message(consumer), await message(consumer)];
    assert.equal(await depth(channel, name), 4);
    channel.ack(first);
    const third = await message(consumer);
    channel.reject(second, false);
    const fourth = await message(consumer);
    assert.equal(await depth(channel, name), 2);
    channel.ack(fourth, true);
    assert.deepEqual(
      [third, fourth, await message(consumer), await message(consumer)].map(({ content }) => String(content)),
      ['3', '4', '5', '6'],
    );
  });

  it('shares the prefetch of its channel, where that is asked for', async (t) => {
    const client = await open(t);
    const { channel, name } = client;
    await channel.assertQueue(name);
    await publishAll(channel, name, ['1', '2', '3', '4', '5', '6', '7']);
    await channel.prefetch(3, true);
    const consumers = [await consume(channel, name), await consume(channel, name)];
    const held = isRabbitmq43(client) ? 6 : 3;
    assert.equal(await depth(channel, name), 7 - held);
    assert.equal(
      consumers.reduce((sum, consumer) => sum + consumer.count(), 0),
      held,
    );
  });

  it('gets what it requeues again, in its old place and marked', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name);
    await publishAll(channel, name, ['1', '2', '3']);
    const [first, second] = [await channel.get(name), await channel.get(name)] as GetMessage[];
    channel.nack(second as GetMessage);
    channel.nack(first as GetMessage);
    const again = (await channel.get(name)) as GetMessage;
    assert.deepEqual([String(again.content), again.fields.redelivered], ['1', true]);
    assert.deepEqual(await drain(channel, name), ['2', '3']);
  });

  it('gets all it has not acked again by recover', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name);
    await publishAll(channel, name, ['1', '2']);
    const consumer = await consume(channel, name);
    await message(consumer);
    await message(consumer);
    await channel.recover();
    const again = [await message(consumer), await message(consumer)];
    assert.deepEqual(
      again.map(({ content, fields }) => [String(content), fields.redelivered]),
      [
        ['1', true],
        ['2', true],
      ],
    );
    channel.ackAll();
    assert.equal(await depth(channel, name), 0);
  });

  it('that was cancelled may still ack, and gets no more', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name);
    const consumer = await consume(channel, name);
    await publishAll(channel, name, ['1']);
    const first = await message(consumer);
    await channel.cancel(consumer.tag);
    await channel.cancel('never there');
    await publishAll(channel, name, ['2']);
    channel.ack(first);
    assert.deepEqual(await drain(channel, name), ['2']);
    assert.equal(consumer.count(), 1);
  });

  it('without acks leaves nothing behind', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name);
    await publishAll(channel, name, ['1', '2', '3']);
    await channel.prefetch(1);
    const consumer = await consume(channel, name, { noAck: true });
    for (let i = 0; i < 3; i += 1) await message(consumer);
    assert.equal(await depth(channel, name), 0);
  });

  it('is told how often it got a message before that a quorum queue counts', async (t) => {
    const client = await open(t);
    const { channel, name } = client;
    await channel.assertQueue(name, { arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 5 } });
    await publishAll(channel, name, ['x']);
    const counts = [];
    for (let i = 0; i < 2; i += 1) {
      const got = (await channel.get(name)) as GetMessage;
      counts.push(got.properties.headers?.['x-delivery-count']);
      channel.reject(got, true);
    }
    assert.deepEqual(counts, [isRabbitmq43(client) ? undefined : 0, 1]);
  });

  it('finds nothing in an empty queue, and how many are left in another', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name);
    assert.equal(await channel.get(name), false);
    await publishAll(channel, name, ['1', '2']);
    assert.equal(((await channel.get(name)) as GetMessage).fields.messageCount, 1);
  });

  it('of direct replies gets the answer to its request, and a dead one is unroutable', async (t) => {
    const client = await open(t);
    const { channel, name, another } = client;
    const server = (await another()).channel;
    await server.assertQueue(name);
    const requests = await consume(server, name, { noAck: true });
    const replies = await consume(channel, 'amq.rabbitmq.reply-to', { noAck: true });
    channel.sendToQueue(name, Buffer.from('ask'), { replyTo: 'amq.rabbitmq.reply-to', correlationId: '1' });

    const request = await message(requests);
    const { replyTo, correlationId } = request.properties;
    assert.match(replyTo, /^amq\.rabbitmq\.reply-to\../);
    await server.checkQueue(replyTo);
    server.sendToQueue(replyTo, Buffer.from('answer'), { correlationId });
    const reply = await message(replies);
    assert.deepEqual([String(reply.content), reply.properties.correlationId], ['answer', '1']);

    const returned: string[] = [];
    server.on('return', ({ content }) => returned.push(String(content)));
    await channel.cancel(replies.tag);
    server.sendToQueue(replyTo, Buffer.from('late'), { mandatory: true });
    await server.waitForConfirms();
    assert.deepEqual(returned, isRabbitmq43(client) ? [] : ['late']);
  });
});
