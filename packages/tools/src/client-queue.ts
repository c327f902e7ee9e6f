/** A client's own queue at a broker, as its owner sees it. */
import { within } from '@waybill/common/within.ts';
import type { ChannelModel, ConsumeMessage } from 'amqplib';
import { UserError } from '../../../bin/plain/user-error.mjs';
import { type Broker, connectToBroker } from './broker-connection.ts';

const CLOSE_TIMEOUT_MS = 2_000;
/** About 4 MB of batches of the default size. */
const PREFETCH = 32;

export type ClientQueue = {
  /** How many messages were there already. */
  waiting: number;
  /** Rejects with a UserError when no more can come. */
  failed: Promise<never>;
  consume(onMessage: (message: ConsumeMessage) => void): Promise<void>;
  ack(message: ConsumeMessage): void;
  /** Deletes the queue if it was made here and shall not be kept. */
  close(): Promise<void>;
};

/**
 * Uses the queue as it is, whatever its arguments, or else makes a durable one.
 *
 * @throws UserError names the broker, never the password
 */
export async function openQueue({
  broker,
  queue,
  isKept,
}: {
  broker: Broker;
  queue: string;
  isKept: boolean;
}): Promise<ClientQueue> {
  const connection = await connectToBroker(broker, 'dataset-client');
  const { model } = connection;
  const { promise: failed, reject } = Promise.withResolvers<never>();
  const fail = (error: Error) => reject(new UserError(error.message));
  failed.catch(() => {});
  model.on('error', (error) => fail(new Error(`the connection to the broker broke: ${error.message}`)));
  model.on('close', () => fail(new Error('the broker closed the connection')));
  try {
    const found = await lookUp(model, queue);
    const channel = await model.createChannel();
    channel.on('error', (error) => {
      const isShared = /exclusive use/.test(error.message);
      fail(isShared ? new Error(`queue ${queue} has another consumer: see --client`) : error);
    });
    const waiting = found ?? (await channel.assertQueue(queue, { durable: true })).messageCount;
    await channel.prefetch(PREFETCH);
    return {
      waiting,
      failed,
      async consume(onMessage) {
        const take = (message: ConsumeMessage | null) => {
          if (message) onMessage(message);
          else fail(new Error(`queue ${queue} was deleted while its batches were awaited`));
        };
        // Alone: of two that share a queue each would see gaps.
        await channel.consume(queue, take, { exclusive: true });
      },
      ack: (message) => channel.ack(message),
      async close() {
        // On a connection that broke, nothing answers and nothing is left to do.
        if (found === undefined && !isKept)
          await within(CLOSE_TIMEOUT_MS, channel.deleteQueue(queue)).catch(() => {});
        await connection.close(channel);
      },
    };
  } catch (error) {
    await connection.close();
    throw new UserError(`queue ${queue} cannot be used: ${(error as Error).message}`);
  }
}

/**
 * On a channel of its own, which ends if there is no such queue.
 *
 * @returns how many messages it holds; undefined if there is none
 */
async function lookUp(model: ChannelModel, queue: string): Promise<number | undefined> {
  const channel = await model.createChannel();
  channel.on('error', () => {}); // the call below fails as well
  try {
    const { messageCount } = await channel.checkQueue(queue);
    await channel.close();
    return messageCount;
  } catch (error) {
    if ((error as { code?: number }).code === 404) return undefined;
    throw error;
  }
}
