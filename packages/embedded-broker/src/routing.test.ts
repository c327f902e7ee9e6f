import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Channel } from 'amqplib';
import { type Client, drain, onBothBrokers } from './both-brokers.fixture.ts';

onBothBrokers('routes', (open) => {
  async function boundQueue({ channel, name }: Client, key: string, args?: object): Promise<string> {
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, name, key, args);
    return queue;
  }

  async function publish({ channel, name }: Client, keys: string[], options: object = {}): Promise<void> {
    for (const key of keys) channel.publish(name, key, Buffer.from(key), options);
    await channel.waitForConfirms();
  }

  it('by the whole key on a direct exchange', async (t) => {
    const client = await open(t);
    await client.channel.assertExchange(client.name, 'direct');
    const queue = await boundQueue(client, 'a');
    await publish(client, ['a', 'a.b', '', 'A']);
    assert.deepEqual(await drain(client.channel, queue), ['a']);
  });

  it('everything on a fanout exchange, once for each queue', async (t) => {
    const client = await open(t);
    await client.channel.assertExchange(client.name, 'fanout');
    const queue = await boundQueue(client, 'a');
    await client.channel.bindQueue(queue, client.name, 'b');
    const other = await boundQueue(client, '');
    await publish(client, ['a', 'x']);
    assert.deepEqual(await drain(client.channel, queue), ['a', 'x']);
    assert.deepEqual(await drain(client.channel, other), ['a', 'x']);
  });

  it('nothing more by a binding that is removed, even if its queue or exchange is not there', async (t) => {
    const { channel, name } = await open(t);
    await channel.assertExchange(name, 'direct');
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.unbindQueue(`${name}.missing`, name, 'key');
    await channel.unbindQueue(queue, `${name}.missing`, 'key');
    await channel.unbindExchange(name, `${name}.missing`, 'key');
  });

  const keys = ['a', 'a.b', 'a.b.c', 'b', '', 'a.', '.a', 'a.x.y.c'];
  for (const [pattern, taken] of [
    ['#', keys],
    ['a', ['a']],
    ['*', ['a', 'b']],
    ['a.*', ['a.b', 'a.']],
    ['a.#', ['a', 'a.b', 'a.b.c', 'a.', 'a.x.y.c']],
    ['#.c', ['a.b.c', 'a.x.y.c']],
    ['a.#.c', ['a.b.c', 'a.x.y.c']],
    ['*.a', ['.a']],
    ['#.#', keys],
    ['*.#', keys.filter((key) => key !== '')],
    ['#.b.#', ['a.b', 'a.b.c', 'b']],
    ['', ['']],
  ] as const)
    it(`${taken.length} of ${keys.length} keys by the pattern '${pattern}' on a topic exchange`, async (t) => {
      const client = await open(t);
      await client.channel.assertExchange(client.name, 'topic');
      const queue = await boundQueue(client, pattern);
      await publish(client, keys);
      assert.deepEqual(await drain(client.channel, queue), taken);
    });

  for (const { match, taken } of [
    { match: 'all', taken: ['both'] },
    { match: 'any', taken: ['one', 'both'] },
  ])
    it(`by ${match} headers on a headers exchange`, async (t) => {
      const client = await open(t);
      await client.channel.assertExchange(client.name, 'headers');
      const queue = await boundQueue(client, '', { 'x-match': match, size: 1, color: 'red' });
      await publish(client, ['none'], { headers: { size: 2, color: 'blue' } });
      await publish(client, ['one'], { headers: { size: 1 } });
      await publish(client, ['both'], { headers: { size: 1, color: 'red', more: true } });
      assert.deepEqual(await drain(client.channel, queue), taken);
    });

  it('from exchange to exchange, around a circle too', async (t) => {
    const client = await open(t);
    const { channel, name } = client;
    await channel.assertExchange(name, 'topic', { autoDelete: true });
    await channel.assertExchange(`${name}.2`, 'fanout', { autoDelete: true });
    await channel.bindExchange(`${name}.2`, name, 'a.*');
    await channel.bindExchange(name, `${name}.2`, '');
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, `${name}.2`, '');
    await publish(client, ['a.b', 'b']);
    assert.deepEqual(await drain(channel, queue), ['a.b']);
  });

  it('to the alternate exchange what nothing is bound for', async (t) => {
    const client = await open(t);
    const { channel, name } = client;
    await channel.assertExchange(`${name}.rest`, 'fanout');
    await channel.assertExchange(name, 'direct', { alternateExchange: `${name}.rest` });
    const queue = await boundQueue(client, 'a');
    const rest = (await channel.assertQueue('', { exclusive: true })).queue;
    await channel.bindQueue(rest, `${name}.rest`, '');
    await publish(client, ['a', 'b']);
    assert.deepEqual(await drain(channel, queue), ['a']);
    assert.deepEqual(await drain(channel, rest), ['b']);
  });

  it('to the keys in CC and BCC too, and shows the latter to nobody', async (t) => {
    const client = await open(t);
    const { channel, name } = client;
    for (const suffix of ['', '.cc', '.bcc']) await channel.assertQueue(name + suffix, { exclusive: true });
    channel.sendToQueue(name, Buffer.from('x'), { CC: [`${name}.cc`], BCC: [`${name}.bcc`] });
    await channel.waitForConfirms();
    for (const suffix of ['', '.cc', '.bcc']) {
      const message = await channel.get(name + suffix, { noAck: true });
      assert.deepEqual((message || undefined)?.properties.headers, { CC: [`${name}.cc`] });
    }
  });

  it('nothing more once unbound, and a binding made twice is one', async (t) => {
    const client = await open(t);
    await client.channel.assertExchange(client.name, 'direct');
    const queue = await boundQueue(client, 'a');
    await client.channel.bindQueue(queue, client.name, 'a');
    await publish(client, ['a']);
    await client.channel.unbindQueue(queue, client.name, 'a');
    await client.channel.unbindQueue(queue, client.name, 'never bound');
    await publish(client, ['a']);
    assert.deepEqual(await drain(client.channel, queue), ['a']);
  });

  it('by an auto-delete exchange until its last binding is gone', async (t) => {
    const { channel, name, another } = await open(t);
    await channel.assertExchange(name, 'direct', { autoDelete: true });
    const { queue } = await channel.assertQueue('', { exclusive: true });
    await channel.bindQueue(queue, name, 'a');
    await channel.deleteQueue(queue);
    await assert.rejects((await another()).channel.checkExchange(name), /404/);
  });

  it('returns what is mandatory and unroutable before it confirms it', async (t) => {
    const { channel, name } = await open(t);
    const order: string[] = [];
    channel.on('return', ({ fields, properties, content }) =>
      order.push(`returned ${fields.routingKey} ${properties.messageId} ${content}`),
    );
    const confirmed = new Promise((resolve) =>
      channel.publish('', name, Buffer.from('x'), { mandatory: true, messageId: '1' }, () => {
        order.push('confirmed');
        resolve(undefined);
      }),
    );
    await confirmed;
    assert.deepEqual(order, [`returned ${name} 1 x`, 'confirmed']);
  });

  it('names a queue that has no name, and means it by an empty name from then on', async (t) => {
    const { channel, name } = await open(t);
    const { queue } = await channel.assertQueue('', { exclusive: true });
    assert.match(queue, /^amq\.gen-/);
    await channel.assertExchange(name, 'direct');
    await channel.bindQueue('', name, '');
    channel.publish(name, queue, Buffer.from('x'));
    await channel.waitForConfirms();
    assert.deepEqual(await drain(channel as Channel, ''), ['x']);
  });
});
