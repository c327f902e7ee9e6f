import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type Client, isRabbitmq43, onBothBrokers, refusalOf } from './both-brokers.fixture.ts';

type Case = {
  title: string;
  code: number;
  scope?: 'connection';
  says?: RegExp;
  /** What RabbitMQ 4.3 does instead. */
  onRabbitmq43?: 'accepts' | { code: number; scope: 'channel' | 'connection' };
  act(client: Client): unknown;
};

const cases: Case[] = [
  {
    title: 'a queue that is not there',
    code: 404,
    says: /NOT_FOUND - no queue '.*' in vhost '.*'/,
    act: ({ channel, name }) => channel.checkQueue(name),
  },
  {
    title: 'an exchange that is not there',
    code: 404,
    act: ({ channel, name }) => channel.checkExchange(name),
  },
  {
    title: 'publishing to an exchange that is not there',
    code: 404,
    act: ({ channel, name }) => channel.publish(name, '', Buffer.from('x')),
  },
  {
    title: 'consuming a queue that is not there',
    code: 404,
    act: ({ channel, name }) => channel.consume(name, () => {}),
  },
  {
    title: 'getting from a queue that is not there',
    code: 404,
    act: ({ channel, name }) => channel.get(name),
  },
  {
    title: 'getting from a quorum queue of one consumer at a time',
    code: 405,
    // RabbitMQ 4.3 writes the type as Erlang does: <<"quorum">>.
    says: /RESOURCE_LOCKED - cannot obtain access to locked queue '.*' in vhost '.*'\. basic\.get operations are not supported by (<<"quorum">>|quorum) queues with single active consumer/,
    async act({ channel, name }) {
      const args = { 'x-queue-type': 'quorum', 'x-single-active-consumer': true };
      await channel.assertQueue(name, { durable: true, arguments: args });
      await channel.get(name);
    },
  },
  {
    title: 'purging a queue that is not there',
    code: 404,
    act: ({ channel, name }) => channel.purgeQueue(name),
  },
  {
    title: 'binding to an exchange that is not there',
    code: 404,
    async act({ channel, name }) {
      await channel.assertQueue(name);
      await channel.bindQueue(name, name, '');
    },
  },
  { title: 'a reserved queue name', code: 403, act: ({ channel }) => channel.assertQueue('amq.mine') },
  {
    title: 'a reserved exchange name',
    code: 403,
    act: ({ channel }) => channel.assertExchange('amq.mine', 'topic'),
  },
  {
    title: 'deleting a predeclared exchange',
    code: 403,
    act: ({ channel }) => channel.deleteExchange('amq.topic'),
  },
  {
    title: 'binding to the default exchange',
    code: 403,
    async act({ channel, name }) {
      await channel.assertQueue(name);
      await channel.bindQueue(name, '', 'key');
    },
  },
  {
    title: 'publishing to an internal exchange',
    code: 403,
    async act({ channel, name }) {
      await channel.assertExchange(name, 'fanout', { internal: true });
      channel.publish(name, '', Buffer.from('x'));
    },
  },
  {
    title: 'a second consumer beside an exclusive one',
    code: 403,
    async act({ channel, name }) {
      await channel.assertQueue(name);
      await channel.consume(name, () => {}, { exclusive: true });
      await channel.consume(name, () => {});
    },
  },
  {
    title: "another connection's exclusive queue",
    code: 405,
    says: /RESOURCE_LOCKED - cannot obtain exclusive access to locked queue '/,
    async act({ channel, name, another }) {
      await (await another()).channel.assertQueue(name, { exclusive: true });
      await channel.checkQueue(name);
    },
  },
  {
    title: 'declaring a queue with another argument',
    code: 406,
    says: /inequivalent arg 'x-max-length' for queue '.*' in vhost '.*': received '2' but current is '1'/,
    async act({ channel, name }) {
      await channel.assertQueue(name, { maxLength: 1 });
      await channel.assertQueue(name, { maxLength: 2 });
    },
  },
  {
    title: 'declaring a queue without its argument',
    code: 406,
    says: /inequivalent arg 'x-max-length' for queue '.*' in vhost '.*': received none but current is the value '1' of type 'byte'/,
    async act({ channel, name }) {
      await channel.assertQueue(name, { maxLength: 1 });
      await channel.assertQueue(name);
    },
  },
  {
    title: 'declaring a queue with another durability',
    code: 406,
    says: /inequivalent arg 'durable' for queue '.*' in vhost '.*': received 'false' but current is 'true'/,
    async act({ channel, name }) {
      await channel.assertQueue(name);
      await channel.assertQueue(name, { durable: false });
    },
  },
  {
    title: 'declaring an exchange of another type',
    code: 406,
    says: /inequivalent arg 'type' for exchange '.*' in vhost '.*': received 'fanout' but current is 'topic'/,
    async act({ channel, name }) {
      await channel.assertExchange(name, 'topic');
      await channel.assertExchange(name, 'fanout');
    },
  },
  ...[
    { type: 'classic', argument: 'x-delivery-limit', value: 3 },
    { type: 'classic', argument: 'x-dead-letter-strategy', value: 'at-least-once' },
    { type: 'classic', argument: 'x-max-in-memory-length', value: 3 },
    { type: 'classic', argument: 'x-max-age', value: '1h' },
    { type: 'quorum', argument: 'x-max-priority', value: 3 },
    { type: 'quorum', argument: 'x-queue-mode', value: 'lazy' },
    { type: 'quorum', argument: 'x-queue-version', value: 2 },
    { type: 'quorum', argument: 'x-stream-max-segment-size-bytes', value: 10 },
  ].map(({ type, argument, value }) => ({
    title: `the argument ${argument} for a ${type} queue, which does not know it,`,
    code: 406,
    says: new RegExp(`invalid arg '${argument}' for queue `),
    act: ({ channel, name }: Client) =>
      channel.assertQueue(name, { arguments: { 'x-queue-type': type, [argument]: value } }),
  })),
  ...[
    { argument: 'x-priority', value: 'high' },
    { argument: 'x-priority', value: 1.5 },
    { argument: 'x-stream-offset', value: 'first' },
  ].map(({ argument, value }) => ({
    title: `a consumer with the argument ${argument} ${value}`,
    code: 406,
    says: new RegExp(`invalid arg '${argument}' for queue `),
    async act({ channel, name }: Client) {
      await channel.assertQueue(name);
      await channel.consume(name, () => {}, { arguments: { [argument]: value } });
    },
  })),
  {
    title: 'the argument x-queue-mode fast',
    code: 406,
    onRabbitmq43: 'accepts',
    act: ({ channel, name }) => channel.assertQueue(name, { arguments: { 'x-queue-mode': 'fast' } }),
  },
  ...[
    { argument: 'x-max-priority', value: 256 },
    { argument: 'x-max-priority', value: -1 },
    { argument: 'x-max-priority', value: 'high' },
    { argument: 'x-queue-version', value: 'new' },
    { argument: 'x-message-ttl', value: -1 },
    { argument: 'x-message-ttl', value: 315_360_000_001 },
    { argument: 'x-expires', value: 0 },
    { argument: 'x-max-length', value: 'much' },
    { argument: 'x-overflow', value: 'explode' },
    { argument: 'x-queue-type', value: 'papyrus' },
    { argument: 'x-dead-letter-routing-key', value: 'without an exchange' },
  ].map(({ argument, value }) => ({
    title: `the argument ${argument} ${value}`,
    code: 406,
    act: ({ channel, name }: Client) => channel.assertQueue(name, { arguments: { [argument]: value } }),
  })),
  {
    title: 'an exclusive quorum queue',
    code: 406,
    act: ({ channel, name }) =>
      channel.assertQueue(name, { exclusive: true, arguments: { 'x-queue-type': 'quorum' } }),
  },
  {
    title: 'a non-durable quorum queue',
    code: 406,
    act: ({ channel, name }) =>
      channel.assertQueue(name, { durable: false, arguments: { 'x-queue-type': 'quorum' } }),
  },
  {
    title: 'deleting a queue in use, if unused',
    code: 406,
    async act({ channel, name }) {
      await channel.assertQueue(name);
      await channel.consume(name, () => {});
      await channel.deleteQueue(name, { ifUnused: true });
    },
  },
  {
    title: 'deleting a queue with messages, if empty',
    code: 406,
    async act({ channel, name }) {
      await channel.assertQueue(name);
      channel.sendToQueue(name, Buffer.from('x'));
      await channel.waitForConfirms();
      await channel.deleteQueue(name, { ifEmpty: true });
    },
  },
  {
    title: 'deleting an exchange with bindings, if unused',
    code: 406,
    async act({ channel, name }) {
      await channel.assertQueue(name);
      await channel.assertExchange(name, 'topic');
      await channel.bindQueue(name, name, '#');
      await channel.deleteExchange(name, { ifUnused: true });
    },
  },
  {
    title: 'an unknown delivery tag',
    code: 406,
    says: /PRECONDITION_FAILED - unknown delivery tag 7/,
    act: ({ channel }) => channel.ack({ fields: { deliveryTag: 7 } } as never),
  },
  {
    title: 'a second ack of one delivery',
    code: 406,
    says: /PRECONDITION_FAILED - unknown delivery tag 1/,
    async act({ channel, name }) {
      await channel.assertQueue(name);
      channel.sendToQueue(name, Buffer.from('x'));
      await channel.waitForConfirms();
      const message = await channel.get(name);
      channel.ack(message as never);
      channel.ack(message as never);
    },
  },
  ...['-1', 'soon', '1.5', '', '315360000001'].map((expiration) => ({
    title: `the expiration '${expiration}'`,
    code: 406,
    act: ({ channel, name }: Client) => channel.publish('', name, Buffer.from('x'), { expiration }),
  })),
  {
    title: "another user's id",
    code: 406,
    act: ({ channel, name }) => channel.publish('', name, Buffer.from('x'), { userId: 'nobody' }),
  },
  {
    title: 'a direct request without a consumer of replies',
    code: 406,
    says: /fast reply consumer does not exist/,
    act: ({ channel, name }) =>
      channel.publish('', name, Buffer.from('x'), { replyTo: 'amq.rabbitmq.reply-to' }),
  },
  {
    title: 'a consumer of direct replies with acks',
    code: 406,
    act: ({ channel }) => channel.consume('amq.rabbitmq.reply-to', () => {}),
  },
  {
    title: 'an unknown exchange type',
    code: 503,
    scope: 'connection',
    onRabbitmq43: { code: 406, scope: 'channel' },
    act: ({ channel, name }) => channel.assertExchange(name, 'papyrus'),
  },
  {
    title: 'a consumer tag used twice',
    code: 530,
    scope: 'connection',
    async act({ channel, name }) {
      await channel.assertQueue(name);
      await channel.consume(name, () => {}, { consumerTag: name });
      await channel.consume(name, () => {}, { consumerTag: name });
    },
  },
  {
    title: 'a prefetch for a whole channel on a quorum queue',
    code: 540,
    scope: 'connection',
    onRabbitmq43: 'accepts',
    async act({ channel, name }) {
      await channel.assertQueue(name, { arguments: { 'x-queue-type': 'quorum' } });
      await channel.prefetch(1, true);
      await channel.consume(name, () => {});
    },
  },
  {
    title: 'deleting a quorum queue, if unused',
    code: 540,
    scope: 'connection',
    async act({ channel, name }) {
      await channel.assertQueue(name, { arguments: { 'x-queue-type': 'quorum' } });
      await channel.deleteQueue(name, { ifUnused: true });
    },
  },
];

onBothBrokers('refuses', (open) => {
  for (const { title, code, scope = 'channel', says = /./, onRabbitmq43, act } of cases)
    it(`${title} with ${code}, which ends the ${scope}`, async (t) => {
      const client = await open(t);
      const expected = (isRabbitmq43(client) && onRabbitmq43) || { code, scope };
      if (expected === 'accepts') {
        await act(client);
        await client.channel.checkExchange('amq.topic');
        return;
      }

      const refusal = await refusalOf(client, () => act(client));

      assert.deepEqual({ code: refusal.code, scope: refusal.scope }, expected);
      assert.match(refusal.message, says);
      // The rest goes on: a new channel, or a new connection.
      const { channel } = await client.another();
      await channel.checkExchange('amq.topic');
      if (expected.scope === 'channel')
        await (await client.connection.createChannel()).checkExchange('amq.topic');
    });
});
