import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Message, Options } from 'amqplib';
import { type Client, consume, drain, message, onBothBrokers, publishAll } from './both-brokers.fixture.ts';

onBothBrokers('dead-letters', (open) => {
  /** A queue whose dead letters go to another, which is consumed. */
  async function withDeadLetters({ channel, name }: Client, options: Options.AssertQueue = {}) {
    await channel.assertQueue(`${name}.dead`, { durable: true });
    await channel.assertQueue(name, {
      deadLetterExchange: '',
      deadLetterRoutingKey: `${name}.dead`,
      ...options,
    });
    return consume(channel, `${name}.dead`, { noAck: true });
  }

  function deathsOf({ properties }: Pick<Message, 'properties'>): Record<string, unknown>[] {
    return (properties.headers?.['x-death'] ?? []).map(({ time, ...death }) => {
      assert.ok(time);
      return death;
    });
  }

  it('a rejected message, with its history', async (t) => {
    const client = await open(t);
    const { channel, name } = client;
    const dead = await withDeadLetters(client);
    channel.sendToQueue(name, Buffer.from('x'), { headers: { mine: 1 }, messageId: 'm', persistent: true });
    await channel.waitForConfirms();
    channel.reject((await channel.get(name)) as Message, false);

    const { fields, properties, content } = await message(dead);

    assert.equal(String(content), 'x');
    assert.deepEqual(
      [fields.exchange, fields.routingKey, fields.redelivered, properties.messageId, properties.deliveryMode],
      ['', `${name}.dead`, false, 'm', 2],
    );
    const { 'x-death': _, ...headers } = properties.headers ?? {};
    assert.equal(headers.mine, 1);
    assert.equal(headers['x-first-death-reason'], 'rejected');
    assert.equal(headers['x-first-death-queue'], name);
    assert.equal(headers['x-first-death-exchange'], '');
    assert.deepEqual(deathsOf({ properties }), [
      { count: 1, reason: 'rejected', queue: name, exchange: '', 'routing-keys': [name] },
    ]);
  });

  it('every message of a nack of many', async (t) => {
    const client = await open(t);
    const { channel, name } = client;
    const dead = await withDeadLetters(client);
    await publishAll(channel, name, ['1', '2', '3']);
    const consumer = await consume(channel, name);
    await message(consumer);
    const second = await message(consumer);
    channel.nack(second, true, false);
    assert.deepEqual(
      [String((await message(dead)).content), String((await message(dead)).content)],
      ['1', '2'],
    );
  });

  it('a message at the end of its own time, without it', async (t) => {
    const client = await open(t);
    const dead = await withDeadLetters(client);
    client.channel.sendToQueue(client.name, Buffer.from('x'), { expiration: '20' });
    const expired = await message(dead);
    assert.equal(expired.properties.expiration, undefined);
    assert.deepEqual(deathsOf(expired), [
      {
        count: 1,
        reason: 'expired',
        queue: client.name,
        exchange: '',
        'routing-keys': [client.name],
        'original-expiration': '20',
      },
    ]);
  });

  it('messages at the end of the time of their queue, in order', async (t) => {
    const client = await open(t);
    const dead = await withDeadLetters(client, { messageTtl: 20 });
    await publishAll(client.channel, client.name, ['1', '2', '3']);
    const bodies = [];
    for (let i = 0; i < 3; i += 1) bodies.push(String((await message(dead)).content));
    assert.deepEqual(bodies, ['1', '2', '3']);
  });

  it('a message that expires at once when nobody takes it', async (t) => {
    const client = await open(t);
    const dead = await withDeadLetters(client);
    client.channel.sendToQueue(client.name, Buffer.from('nobody'), { expiration: '0' });
    assert.equal(String((await message(dead)).content), 'nobody');
    const consumer = await consume(client.channel, client.name);
    client.channel.sendToQueue(client.name, Buffer.from('somebody'), { expiration: '0' });
    assert.equal(String((await message(consumer)).content), 'somebody');
  });

  it('the oldest when there are too many', async (t) => {
    const client = await open(t);
    const dead = await withDeadLetters(client, { maxLength: 2 });
    await publishAll(client.channel, client.name, ['1', '2', '3']);
    const dropped = await message(dead);
    assert.equal(String(dropped.content), '1');
    assert.equal(deathsOf(dropped)[0]?.reason, 'maxlen');
    assert.deepEqual(await drain(client.channel, client.name), ['2', '3']);
  });

  it('by the original routing key where no other is given', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertExchange(name, 'topic');
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, name, 'the.key');
    const dead = await consume(channel, queue, { noAck: true });
    const source = await channel.assertQueue('', {
      exclusive: true,
      deadLetterExchange: name,
      messageTtl: 1,
    });
    await channel.assertExchange(`${name}.in`, 'fanout');
    await channel.bindQueue(source.queue, `${name}.in`, '');
    channel.publish(`${name}.in`, 'the.key', Buffer.from('x'));
    assert.deepEqual(deathsOf(await message(dead))[0]?.['routing-keys'], ['the.key']);
  });

  it('around a circle once only, unless a consumer rejects', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name, { deadLetterExchange: '', messageTtl: 10 });
    await publishAll(channel, name, ['x']);
    while ((await channel.checkQueue(name)).messageCount > 0);

    await channel.assertQueue(`${name}.loop`, { deadLetterExchange: '' });
    await publishAll(channel, `${name}.loop`, ['y']);
    const consumer = await consume(channel, `${name}.loop`);
    for (const rounds of [0, 1, 2]) {
      const again = await message(consumer);
      assert.equal(deathsOf(again)[0]?.count ?? 0, rounds);
      channel.reject(again, false);
    }
  });

  it('counts each queue and reason apart, the latest first', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name, { deadLetterExchange: '', deadLetterRoutingKey: `${name}.wait` });
    await channel.assertQueue(`${name}.wait`, {
      deadLetterExchange: '',
      deadLetterRoutingKey: name,
      messageTtl: 10,
    });
    await publishAll(channel, name, ['x']);
    const consumer = await consume(channel, name);
    for (let i = 0; i < 2; i += 1) channel.reject(await message(consumer), false);
    const deaths = deathsOf(await message(consumer));
    assert.deepEqual(
      deaths.map(({ queue, reason, count }) => [queue, reason, count]),
      [
        [`${name}.wait`, 'expired', 2],
        [name, 'rejected', 2],
      ],
    );
  });

  it('what was delivered more often than a quorum queue allows', async (t) => {
    const client = await open(t);
    const { channel, name } = client;
    const dead = await withDeadLetters(client, {
      arguments: { 'x-queue-type': 'quorum', 'x-delivery-limit': 2 },
    });
    await publishAll(channel, name, ['x']);
    const consumer = await consume(channel, name);
    for (const expected of [undefined, 1, 2]) {
      const delivery = await message(consumer);
      assert.equal(delivery.properties.headers?.['x-delivery-count'], expected);
      assert.equal(delivery.fields.redelivered, expected !== undefined);
      channel.reject(delivery, true);
    }
    assert.equal(deathsOf(await message(dead))[0]?.reason, 'delivery_limit');
  });

  it('nothing where no exchange is named, or it is not there', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertQueue(name, { maxLength: 1 });
    await channel.assertQueue(`${name}.2`, { maxLength: 1, deadLetterExchange: 'missing' });
    for (const queue of [name, `${name}.2`]) {
      await publishAll(channel, queue, ['1', '2']);
      assert.deepEqual(await drain(channel, queue), ['2']);
    }
  });
});
