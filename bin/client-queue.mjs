/** A client's own queue at a broker, as its owner sees it. */
import { connectToBroker } from './broker-connection.mjs';
import { UserError } from './user-error.mjs';

const CLOSE_TIMEOUT_MS = 2_000;
/** About 4 MB of batches of the default size. */
const PREFETCH = 32;

/** @typedef {import('./broker-connection.mjs').Broker} Broker */

/**
 * @typedef {object} ClientQueue
 * @property {number} waiting how many messages were there already
 * @property {Promise<never>} failed rejects with a UserError when no more can come
 * @property {(onMessage: (message: import('amqplib').ConsumeMessage) => void) => Promise<void>} consume
 * @property {(message: import('amqplib').ConsumeMessage) => void} ack
 * @property {() => Promise<void>} close deletes the queue if it was made here and shall not be kept
 */

/**
 * Uses the queue as it is, whatever its arguments, or else makes a durable one.
 *
 * @param {{ broker: Broker, queue: string, isKept: boolean }} options
 * @returns {Promise<ClientQueue>}
 * @throws {UserError} names the broker, never the password
 */
export async function openQueue({ broker, queue, isKept }) {
  const connection = await connectToBroker(broker, 'dataset-client');
  const { model } = connection;
  /** @type {(error: Error) => void} */
  let fail = () => {};
  /** @type {Promise<never>} */
  const failed = new Promise((_, reject) => {
    fail = (error) => reject(new UserError(error.message));
  });
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
        const take = (/** @type {import('amqplib').ConsumeMessage | null} */ message) => {
          if (message) onMessage(message);
          else fail(new Error(`queue ${queue} was deleted while its batches were awaited`));
        };
        // Alone: of two that share a queue each would see gaps.
        await channel.consume(queue, take, { exclusive: true });
      },
      ack: (message) => channel.ack(message),
      async close() {
        if (found === undefined && !isKept) await inTime(channel.deleteQueue(queue));
        await connection.close(channel);
      },
    };
  } catch (error) {
    await connection.close();
    throw new UserError(`queue ${queue} cannot be used: ${/** @type {Error} */ (error).message}`);
  }
}

/**
 * On a channel of its own, which ends if there is no such queue.
 *
 * @param {import('amqplib').ChannelModel} model
 * @param {string} queue
 * @returns {Promise<number | undefined>} how many messages it holds; undefined if there is none
 */
async function lookUp(model, queue) {
  const channel = await model.createChannel();
  channel.on('error', () => {}); // the call below fails as well
  try {
    const { messageCount } = await channel.checkQueue(queue);
    await channel.close();
    return messageCount;
  } catch (error) {
    if (/** @type {{ code?: number }} */ (error).code === 404) return undefined;
    throw error;
  }
}

/**
 * On a connection that broke, nothing answers and nothing is left to do.
 *
 * @param {Promise<unknown>} closing
 */
async function inTime(closing) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
  });
  await Promise.race([closing.catch(() => {}), late]);
  clearTimeout(timer);
}
