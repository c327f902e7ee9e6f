/**
 * Takes the stream that was asked for out of the client's queue, which can hold batches of others: of an earlier run,
 * or of another notify for the same queue. Ours is the one that the answer names; where it names none (gRPC), the first
 * one that begins with batch 0 and was not there before.
 */
import type { ConsumeMessage } from 'amqplib';
import { createBatchChecker } from '../../../bin/plain/check-batches.mjs';
import { UserError } from '../../../bin/plain/user-error.mjs';
import type { ClientQueue } from './client-queue.ts';
import type { Accepted } from './notify-client.ts';
import { type BatchMessage, readBatchMessage } from './read-batch-message.ts';

export type ReceivedStream = {
  streamId: string;
  traceId: string | undefined;
  /** How many batches came once more than needed. */
  repeated: number;
  /** How many messages of which other streams there were. */
  others: Map<string, number>;
};

/**
 * Acks each message once it is checked. Resolves when the stream is complete.
 *
 * @throws UserError at the first thing that is not as promised, or why there is no more
 */
export async function receiveStream({
  queue,
  queueName,
  client,
  batches,
  timeoutMs,
  notify,
  onBatch,
}: {
  queue: ClientQueue;
  queueName: string;
  client: string;
  /** How many there must be. */
  batches: number | undefined;
  /** How long nothing may come. */
  timeoutMs: number;
  /** Is called when the queue is listened to. */
  notify: () => Promise<Accepted>;
  /** Is called with the size of each batch that was not seen before. */
  onBatch: (bytes: number) => void;
}): Promise<ReceivedStream> {
  const checker = createBatchChecker();
  const streams = createStreams(queue.waiting);
  let repeated = 0;
  const { promise: completed, resolve: complete, reject: fail } = Promise.withResolvers<ReceivedStream>();
  const silence = setTimeout(
    () => fail(describeSilence({ timeoutMs, count: checker.count(), others: streams.others })),
    timeoutMs,
  );

  function take(message: ConsumeMessage, ownStreamId: string | undefined) {
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
 * @param waiting how many messages were there before
 */
function createStreams(waiting: number) {
  const others = new Map<string, number>();
  let ours: string | undefined;
  let taken = 0;
  return {
    others,
    isOurs({ streamId, index }: BatchMessage, ownStreamId: string | undefined) {
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

function expectCount(count: number, expected: number | undefined) {
  if (expected === undefined || count === expected) return;
  throw new UserError(`the last batch is ${count - 1}, so there are ${count} and not ${expected}`);
}

function describeSilence({
  timeoutMs,
  count,
  others,
}: {
  timeoutMs: number;
  count: number;
  others: Map<string, number>;
}) {
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
