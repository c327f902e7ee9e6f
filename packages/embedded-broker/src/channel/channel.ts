/**
 * One channel: what belongs to it, and which function handles which method. A handler that throws an `AmqpError`
 * ends the channel, or the connection if the error is hard; the connection does both.
 */
import { AmqpError } from '../amqp-error.ts';
import type { Fields, Method, MethodName } from '../codec/spec.ts';
import type { Vhost } from '../vhost.ts';
import { createAssembler } from './assemble.ts';
import { basicMethods } from './basic-methods.ts';
import { type Confirms, createConfirms } from './confirms.ts';
import { type ChannelConsumer, consumerMethods } from './consumer-methods.ts';
import { createDeliveries, type Deliveries, requeue } from './deliveries.ts';
import { exchangeMethods } from './exchange-methods.ts';
import { publish } from './publish.ts';
import { queueMethods } from './queue-methods.ts';

/** What a channel needs of its connection. Exclusive queues belong to this very object. */
export type ChannelConnection = {
  user: string;
  vhost: Vhost;
  /** Whether the client understands a `basic.cancel` from the server. */
  isCancelNotified: boolean;
  /** Whether its socket takes more now; {@link Channel.deliver} is called when it does again. */
  isWritable(): boolean;
};

export type Channel = {
  connection: ChannelConnection;
  vhost: Vhost;
  send<N extends MethodName>(name: N, fields: Fields<N>): void;
  sendMessage<N extends MethodName>(
    name: N,
    fields: Fields<N>,
    content: { properties: Buffer; body: Buffer },
  ): void;
  consumers: Map<string, ChannelConsumer>;
  deliveries: Deliveries;
  confirms: Confirms;
  /** Prefetch counts: of consumers to come, and of all of them together. 0 is no limit. */
  prefetch: { perConsumer: number; shared: number };
  /** What an empty queue name stands for: the queue declared last. */
  lastQueueName: string;
  /** The consumer of direct replies, of which there is one at most. */
  replyConsumer: { tag: string; address: string } | undefined;
};

export type Handlers = { [N in MethodName]?: (channel: Channel, fields: Fields<N>) => void };

/** A channel as its connection sees it. */
export type ChannelEnd = {
  onMethod(method: Method): void;
  onHeader(payload: Buffer): void;
  onBody(payload: Buffer): void;
  /** Sends the confirms that have come together. */
  flush(): void;
  /** The socket takes more again. */
  deliver(): void;
  /** Cancels its consumers and requeues what they have not acked. */
  close(): void;
};

const handlers: Handlers = { ...exchangeMethods, ...queueMethods, ...consumerMethods, ...basicMethods };

export function createChannel(options: Pick<Channel, 'connection' | 'send' | 'sendMessage'>): ChannelEnd {
  const assembler = createAssembler();
  const channel: Channel = {
    ...options,
    vhost: options.connection.vhost,
    consumers: new Map(),
    deliveries: createDeliveries(),
    confirms: createConfirms(options.send),
    prefetch: { perConsumer: 0, shared: 0 },
    lastQueueName: '',
    replyConsumer: undefined,
  };

  return {
    onMethod(method) {
      if (assembler.isBusy()) throw new AmqpError('UNEXPECTED_FRAME', `content expected, got ${method.name}`);
      if (method.name === 'basic.publish') assembler.begin(method.fields);
      else handle(channel, method);
    },
    onHeader(payload) {
      const published = assembler.header(payload);
      if (published) publish(channel, published);
    },
    onBody(payload) {
      const published = assembler.body(payload);
      if (published) publish(channel, published);
    },
    flush: channel.confirms.flush,
    deliver() {
      for (const { queue } of channel.consumers.values()) queue.deliver();
    },
    close() {
      const { consumers, replyConsumer, deliveries, vhost } = channel;
      if (replyConsumer) vhost.replyConsumers.delete(replyConsumer.address);
      // Before the queues that nobody consumes any more are deleted, and before anything comes back to ourselves.
      const leaving = [...consumers.values()];
      consumers.clear();
      for (const consumer of leaving) consumer.isLeaving = true;
      requeue(deliveries.takeAll());
      for (const consumer of leaving) consumer.queue.removeConsumer(consumer);
    },
  };
}

function handle(channel: Channel, { name, fields }: Method): void {
  const handler = handlers[name] as ((channel: Channel, fields: unknown) => void) | undefined;
  if (name.startsWith('tx.')) throw new AmqpError('NOT_IMPLEMENTED', 'transactions');
  if (!handler) throw new AmqpError('COMMAND_INVALID', `${name} is nothing a client sends on a channel`);
  handler(channel, fields);
}
