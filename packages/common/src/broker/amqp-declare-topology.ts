import { setTimeout as delay } from 'node:timers/promises';
import type { Channel, ChannelModel } from 'amqplib';
import type { AmqpTopology } from './amqp-topology.ts';

const NOT_FOUND = 404;
/** It takes the broker milliseconds. */
const UNTIL_CONSUMERS_KNOW_MS = 1_000;

/** Declares `topology`. Each declaration is idempotent, and restores what somebody has deleted. */
export async function declareTopology(channel: Channel, topology: AmqpTopology): Promise<void> {
  for (const { name, type } of topology.exchanges)
    await channel.assertExchange(name, type, { durable: true });
  for (const queue of topology.queues)
    await channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments });
  for (const { queue, exchange, routingKey } of topology.bindings)
    await channel.bindQueue(queue, exchange, routingKey);
}

/** What of a topology is not at the broker. */
export type Missing = Pick<AmqpTopology, 'exchanges' | 'queues'>;

/**
 * Looks for what is missing. (AMQP does not tell of bindings.) Each costs a channel, which the broker closes; while all are
 * there it is one.
 */
export async function findMissing(model: ChannelModel, topology: AmqpTopology): Promise<Missing> {
  const missing: Missing = { exchanges: [], queues: [] };
  let channel = await openQuietly(model);
  const isMissing = async (look: Promise<unknown>): Promise<boolean> => {
    try {
      await look;
      return false;
    } catch (error) {
      if ((error as { code?: number }).code !== NOT_FOUND) throw error;
      channel = await openQuietly(model);
      return true;
    }
  };
  for (const exchange of topology.exchanges)
    if (await isMissing(channel.checkExchange(exchange.name))) missing.exchanges.push(exchange);
  for (const queue of topology.queues)
    if (await isMissing(channel.checkQueue(queue.name))) missing.queues.push(queue);
  await channel.close();
  return missing;
}

/** How many consume a queue; undefined where there is none. It costs a channel. */
export async function countConsumers(model: ChannelModel, queue: string): Promise<number | undefined> {
  const channel = await openQuietly(model);
  try {
    const { consumerCount } = await channel.checkQueue(queue);
    await channel.close();
    return consumerCount;
  } catch (error) {
    if ((error as { code?: number }).code === NOT_FOUND) return undefined;
    throw error;
  }
}

/** What people call them. */
export function namesOf({ exchanges, queues }: Missing): string[] {
  return [...exchanges.map(({ name }) => `exchange ${name}`), ...queues.map(({ name }) => `queue ${name}`)];
}

/**
 * Waits before a queue that is missing is declared anew, until its consumers have heard that it is gone: RabbitMQ 3.10
 * takes those that have not yet over to the next queue of that name, and never delivers to them (4.3 does).
 */
export async function letConsumersKnow({ queues }: Missing): Promise<void> {
  if (queues.length > 0) await delay(UNTIL_CONSUMERS_KNOW_MS);
}

/** A channel whose errors are told by the calls on it alone. */
export async function openQuietly(model: ChannelModel): Promise<Channel> {
  const channel = await model.createChannel();
  channel.on('error', () => {});
  return channel;
}
