import { createKeyedBatcher } from '@waybill/common/batch.ts';
import { AMQP_MAX_EVENTS, MAX_BATCH_BYTES, MAX_BATCHES_IN_FLIGHT } from '@waybill/common/batch-limits.ts';
import type { Publisher } from '@waybill/common/broker/ports.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import { REPLIES_EXCHANGE, REPLIES_QUEUE } from '@waybill/common/broker/topology.ts';
import { expiryMs } from '@waybill/common/event.ts';
import { type EncodedEvent, encodeMessage } from '@waybill/common/event-json.ts';
import { batchSize } from '@waybill/common/metrics.ts';

/** Publishes a reply with whatever else goes to the same address; resolves when the broker has confirmed it. */
export type PublishReply = (reply: EncodedEvent) => Promise<void>;

/**
 * Creates {@link PublishReply}. A message holds replies for one address only, so that a dead public-web never blocks
 * another; the address is compared unread.
 *
 * Replies of several deliveries share a message, so no single delivery's signal ends the attempts: they go on until
 * the broker confirms, or nobody waits for any of them any more. What waits is bounded by what was taken from the broker.
 */
export function createPublishReply({ publisher }: { publisher: Publisher }): PublishReply {
  const batcher = createKeyedBatcher<EncodedEvent, void>({
    maxItems: AMQP_MAX_EVENTS,
    maxBytes: MAX_BATCH_BYTES,
    maxInFlight: () => MAX_BATCHES_IN_FLIGHT,
    maxQueued: Number.POSITIVE_INFINITY,
    async send(_address, replies) {
      batchSize.record(replies.length, { hop: 'replies' });
      const message = { exchange: REPLIES_EXCHANGE, routingKey: REPLIES_QUEUE, ...encodeMessage(replies) };
      await publishUntilConfirmed(publisher, message, untilAllExpired(replies));
      return [];
    },
  });
  return async (reply) => {
    await batcher.add(String(reply.event.replyto), reply, reply.bytes);
  };
}

/** Longest `setTimeout` can wait; a reply without a deadline is tried for as long. */
const MAX_TIMER_MS = 2 ** 31 - 1;

function untilAllExpired(replies: readonly EncodedEvent[]): AbortSignal {
  const lastMs = Math.max(...replies.map(({ event }) => expiryMs(event)));
  // Node's timers may fire a millisecond early: the event would not have expired yet, and so have failed.
  return AbortSignal.timeout(Math.min(MAX_TIMER_MS, Math.max(1, lastMs - Date.now()) + 1));
}
