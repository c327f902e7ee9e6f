/**
 * Takes the stream that was asked for out of the client's queue, which can hold batches of others: of an earlier run,
 * or of another notify for the same queue. Ours is the one that the answer names; where it names none (gRPC), the first
 * one that begins with batch 0 and was not there before.
 */
import { createBatchChecker } from './check-batches.mjs';
import { readBatchMessage } from './read-batch-message.mjs';
import { UserError } from './user-error.mjs';

/**
 * @typedef {object} ReceivedStream
 * @property {string} streamId
 * @property {string | undefined} traceId
 * @property {number} repeated how many batches came once more than needed
 * @property {Map<string, number>} others how many messages of which other streams there were
 */

/**
 * Acks each message once it is checked. Resolves when the stream is complete.
 *
 * @param {object} options
 * @param {import('./client-queue.mjs').ClientQueue} options.queue
 * @param {string} options.queueName
 * @param {string} options.client
 * @param {number | undefined} options.batches how many there must be
 * @param {number} options.timeoutMs how long nothing may come
 * @param {() => Promise<import('./notify-client.mjs').Accepted>} options.notify called when the queue is listened to
 * @param {(bytes: number) => void} options.onBatch called with each batch that was not seen before
 * @returns {Promise<ReceivedStream>}
 * @throws {UserError} at the first thing that is not as promised, or why there is no more
 */
export async function receiveStream({ queue, queueName, client, batches, timeoutMs, notify, onBatch }) {
  const checker = createBatchChecker();
  const streams = createStreams(queue.waiting);
  let repeated = 0;
  /** @type {(stream: ReceivedStream) => void} */
  let complete = () => {};
  /** @type {(error: unknown) => void} */
  let fail = () => {};
  /** @type {Promise<ReceivedStream>} */
  const completed = new Promise((resolve, reject) => {
    complete = resolve;
    fail = reject;
  });
  const silence = setTimeout(
    () => fail(describeSilence({ timeoutMs, count: checker.count(), others: streams.others })),
    timeoutMs,
  );

  /**
   * @param {import('amqplib').ConsumeMessage} message
   * @param {string | undefined} ownStreamId
   */
  function take(message, ownStreamId) {
    silence.refresh();
    const batch = readBatchMessage(message, { client, queue: queueName });
    if (!streams.isOurs(batch, ownStreamId)) return;
    const { bytes, isRepeated } = checker.take(batch);
    if (isRepeated) repeated += 1;
    else onBatch(bytes);
    if (!checker.isComplete()) return;
    expectCount(checker.count(), batches);
    complete({ streamId: batch.streamId, traceId: batch.traceId, repeated, others: streams.others });
  }

  queue.failed.catch(fail);
  const consuming = queue.consume((message) => {
    accepted
      .then(({ streamId }) => {
        take(message, streamId);
        queue.ack(message);
      })
      .catch(fail);
  });
  const accepted = consuming.then(notify);
  accepted.catch(fail);
  return completed.finally(() => clearTimeout(silence));
}

/**
 * Tells our stream from others.
 *
 * @param {number} waiting how many messages were there before
 */
function createStreams(waiting) {
  /** @type {Map<string, number>} */
  const others = new Map();
  /** @type {string | undefined} */
  let ours;
  let taken = 0;
  return {
    others,
    /**
     * @param {import('./read-batch-message.mjs').BatchMessage} batch
     * @param {string | undefined} ownStreamId
     */
    isOurs({ streamId, index }, ownStreamId) {
      taken += 1;
      const isNew = taken > waiting && !others.has(streamId);
      const isFirst = ownStreamId ? streamId === ownStreamId : isNew && index === 0;
      if (ours === undefined && isFirst) ours = streamId;
      if (streamId === ours) return true;
      others.set(streamId, (others.get(streamId) ?? 0) + 1);
      return false;
    },
  };
}

/**
 * @param {number} count
 * @param {number | undefined} expected
 */
function expectCount(count, expected) {
  if (expected === undefined || count === expected) return;
  throw new UserError(`the last batch is ${count - 1}, so there are ${count} and not ${expected}`);
}

/** @param {{ timeoutMs: number, count: number, others: Map<string, number> }} state */
function describeSilence({ timeoutMs, count, others }) {
  const since =
    count > 0
      ? `nothing came for ${timeoutMs / 1000} s after batch ${count - 1}`
      : `no batch came within ${timeoutMs / 1000} s`;
  const strangers =
    others.size > 0 ? ` (but messages of other streams: ${[...others.keys()].join(', ')})` : '';
  return new UserError(
    `${since}${strangers}; the log of data-dispatch-listener and the queue waybill.dead-letters tell why`,
  );
}
