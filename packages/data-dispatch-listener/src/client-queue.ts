/** The client's own queue: found or made, and looked into. */

import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import { AppError } from '@waybill/common/errors.ts';
import { within } from '@waybill/common/within.ts';
import { TerminalError } from '@waybill/listener/handler.ts';
import type { Channel, ChannelModel } from 'amqplib';

/** As long as a broker may take to confirm. */
const ANSWER_TIMEOUT_MS = 5_000;

/**
 * Looks whether `queue` is there, whatever its arguments, and otherwise declares it plain durable if `mayDeclare`.
 * Resolves with the number of messages that wait in it.
 *
 * @throws TerminalError `client-queue-deleted` when it is not there and may not be declared, `client-queue-refused` when
 * the broker does not let the client's user, or anybody but another connection, use it; AppError `client-queue-unavailable`.
 */
export async function lookIntoQueue(
  model: ChannelModel,
  { queue, mayDeclare }: { queue: string; mayDeclare: boolean },
): Promise<number> {
  try {
    const { messageCount } = await onChannel(model, (channel) => channel.checkQueue(queue));
    return messageCount;
  } catch (error) {
    if (codeOf(error) !== 404) throw toQueueError(error);
    if (!mayDeclare) throw new TerminalError('client-queue-deleted', "the client's queue was deleted");
  }
  try {
    const { messageCount } = await onChannel(model, (channel) =>
      channel.assertQueue(queue, { durable: true }),
    );
    return messageCount;
  } catch (error) {
    // Another stream to the same queue may have declared it in between; anything else comes again with the next try.
    throw toQueueError(error);
  }
}

/** The broker's reply code when it closed the channel. */
export function codeOf(error: unknown): number | undefined {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'number' ? code : undefined;
}

/** What the client's broker objected to: for good with 403 and 405, else perhaps not the next time. */
export function toQueueError(error: unknown): Error {
  if (error instanceof AppError || error instanceof TerminalError) return error;
  const { message } = error as Error;
  const code = codeOf(error);
  if (code === 403 || code === 405)
    return new TerminalError(
      'client-queue-refused',
      `the client's broker refuses the use of its queue (${code})`,
    );
  return new AppError('client-queue-unavailable', `the broker of the client does not answer: ${message}`);
}

/** A channel of its own: an error ends the channel, and would take along what is published on it. */
async function onChannel<T>(model: ChannelModel, use: (channel: Channel) => Promise<T>): Promise<T> {
  return await inTime(model, async () => {
    const channel = await model.createChannel();
    const { promise: failed, reject } = Promise.withResolvers<never>();
    channel.on('error', reject);
    failed.catch(() => {});
    const result = await Promise.race([use(channel), failed]);
    channel.close().catch(() => {});
    return result;
  });
}

/**
 * Calls of amqplib have no timeout of their own. A connection on which one takes too long is broken: another would
 * wait behind it, and what it opened later nobody would close.
 */
export async function inTime<T>(model: ChannelModel, run: () => Promise<T>): Promise<T> {
  const running = run();
  running.catch(() => {});
  if (await within(ANSWER_TIMEOUT_MS, running)) return await running;
  const error = new AppError('client-queue-unavailable', 'the broker of the client does not answer');
  breakConnection(model, error);
  throw error;
}
