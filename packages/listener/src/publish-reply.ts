import { backOff } from '@waybill/common/back-off.ts';
import { createKeyedBatcher } from '@waybill/common/batch.ts';
import {
  AMQP_MAX_EVENTS,
  MAX_BATCH_BYTES,
  MAX_BATCHES_IN_FLIGHT,
  MAX_PARTIAL_BATCHES_IN_FLIGHT,
} from '@waybill/common/batch-limits.ts';
import type { OutgoingMessage, Publisher } from '@waybill/common/broker/ports.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import { expiryMs } from '@waybill/common/event/event.ts';
import { type EncodedEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { PROGRESS_TYPE } from '@waybill/common/internal-call/progress.ts';
import { batchSize } from '@waybill/common/telemetry/metrics.ts';
import { requesterAt } from './requester-address.ts';

/** News of attempts (`tell-progress.ts`) that wait or are under way, of a kilobyte each: some seconds' worth of failures. */
const MAX_NEWS = 4_096;

/**
 * Publishes a reply with whatever else goes to the same address. Resolves `confirmed` when the broker has it, or
 * `expired` when its deadline came first and nobody waits for it any more: a reply that is slow to go, for whatever reason,
 * is no failure of the handler that made it. Never rejects.
 */
export type PublishReply = (reply: EncodedEvent) => Promise<'confirmed' | 'expired'>;

/**
 * Creates {@link PublishReply}. A message holds replies for one address only, so that a dead public-web never blocks
 * another; the address is compared unread.
 *
 * Replies of several deliveries share a message, so no single delivery's signal ends the attempts: they go on until
 * the broker confirms, or nobody waits for any of them any more. What waits has no bound of its own, as it would have to
 * refuse the work of a handler that is done: it is one reply, no larger than an event may be, per event that is handled at once.
 * No handler waits for the news of an attempt, so of those there is a bound: what is more is dropped.
 */
export function createPublishReply({ publisher }: { publisher: Publisher }): PublishReply {
  const batcher = createKeyedBatcher<EncodedEvent, 'confirmed' | 'expired'>({
    maxItems: AMQP_MAX_EVENTS,
    maxBytes: MAX_BATCH_BYTES,
    maxInFlight: () => MAX_BATCHES_IN_FLIGHT,
    maxPartialInFlight: () => MAX_PARTIAL_BATCHES_IN_FLIGHT,
    maxQueued: Number.POSITIVE_INFINITY,
    maxQueuedBytes: Number.POSITIVE_INFINITY,
    async send(_address, replies) {
      batchSize.record(replies.length, { hop: 'replies' });
      const requester = requesterAt(replies[0]?.event.replyto);
      const to = requester === undefined ? { replies: 'now' as const } : { requester };
      const outcome = await publishInTime(
        publisher,
        { to, ...encodeMessage(replies) },
        msUntilAllExpired(replies),
      );
      return replies.map(() => outcome);
    },
  });
  const add = (reply: EncodedEvent) => batcher.add(String(reply.event.replyto), reply, reply.bytes);
  let news = 0;

  async function tell(reply: EncodedEvent): Promise<'confirmed' | 'expired'> {
    if (news >= MAX_NEWS) return 'expired';
    news += 1;
    try {
      return await add(reply);
    } finally {
      news -= 1;
    }
  }

  return (reply) => (reply.event.type === PROGRESS_TYPE ? tell(reply) : add(reply));
}

/** `AbortSignal.timeout()` would leave a timer behind for each message, long after the broker has confirmed it. */
async function publishInTime(
  publisher: Publisher,
  message: OutgoingMessage,
  maxMs: number,
): Promise<'confirmed' | 'expired'> {
  const expired = new AbortController();
  const timer = setTimeout(() => expired.abort(), maxMs).unref();
  try {
    return await publishUntil(publisher, message, expired.signal);
  } finally {
    clearTimeout(timer);
  }
}

/** A queue that is missing is waited for like one that is full: it is declared anew, by this process or by another. */
async function publishUntil(
  publisher: Publisher,
  message: OutgoingMessage,
  expired: AbortSignal,
): Promise<'confirmed' | 'expired'> {
  for (;;)
    try {
      await publishUntilConfirmed(publisher, message, expired, { isMandatory: !('requester' in message.to) });
      return 'confirmed';
    } catch {
      if (expired.aborted) return 'expired';
      await backOff(1, { baseMs: MISSING_QUEUE_MS, capMs: MISSING_QUEUE_MS, signal: expired });
    }
}

/** How often a queue of replies that is missing is looked for. */
const MISSING_QUEUE_MS = 1_000;
/** Longest `setTimeout` can wait; a reply without a deadline is tried for as long. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function msUntilAllExpired(replies: readonly EncodedEvent[]): number {
  const lastMs = Math.max(...replies.map(({ event }) => expiryMs(event)));
  // Node's timers may fire a millisecond early: the event would not have expired yet, and so have failed.
  return Math.min(MAX_TIMER_MS, Math.max(1, lastMs - Date.now()) + 1);
}
