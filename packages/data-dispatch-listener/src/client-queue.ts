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

/** What a stream can be declared with, besides its type: no other kind of queue has one of these alone. */
const STREAM_ARGUMENTS = [
  'x-max-age',
  'x-max-length-bytes',
  'x-stream-max-segment-size-bytes',
  'x-stream-filter-size-bytes',
  'x-initial-cluster-size',
  'x-queue-leader-locator',
];

/**
 * Whether `queue` is a stream, whose messages stay when they have been read, so that their number says nothing of its
 * client. AMQP 0-9-1 has no question for that: `queue` is declared as a stream, and RabbitMQ objects to what differs, one
 * argument at a time. False when the client's user may not declare it.
 *
 * @throws AppError `client-queue-unavailable` when the broker does not answer.
 */
export async function isStream(model: ChannelModel, queue: string): Promise<boolean> {
  const args: Record<string, unknown> = { 'x-queue-type': 'stream' };
  for (const _ of [undefined, ...STREAM_ARGUMENTS]) {
    try {
      await onChannel(model, (channel) => channel.assertQueue(queue, { durable: true, arguments: args }));
      return true;
    } catch (error) {
      if (codeOf(error) === undefined) throw toQueueError(error);
      const { name = '', value, type } = OBJECTION.exec((error as Error).message)?.groups ?? {};
      if (!STREAM_ARGUMENTS.includes(name)) return false;
      args[name] = type === 'longstr' ? value : Number(value);
    }
  }
  return false;
}

/** As RabbitMQ 3.10 to 4.3 word it. */
const OBJECTION =
  /inequivalent arg '(?<name>[\w-]+)' for .* received none but current is the value '(?<value>.*)' of type '(?<type>\w+)'/;

/**
 * Makes the exchange of the same name lead to `queue`, for users who may use no exchange but one of that name: the default
 * one is allowed whole or not at all, and leads to every queue there is. It goes with the queue.
 *
 * @throws as {@link lookIntoQueue} does.
 */
export async function makeExchange(model: ChannelModel, queue: string): Promise<void> {
  try {
    await onChannel(model, async (channel) => {
      await channel.assertExchange(queue, 'direct', { durable: true, autoDelete: true });
      await channel.bindQueue(queue, queue, queue);
    });
  } catch (error) {
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
