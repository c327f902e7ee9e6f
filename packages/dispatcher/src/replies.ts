/**
 * Replies from the broker: each message is delivered where its reply address says, and then acked. What cannot be
 * delivered now is set aside in the broker for a second, so a dead address holds neither a delivery nor a lane.
 */

import { context } from '@opentelemetry/api';
import { type DeadLetterReason, deadLetter } from '@waybill/common/broker/dead-letter.ts';
import type { Delivery, Publisher, Subscriber, Subscription } from '@waybill/common/broker/ports.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, expiryMs } from '@waybill/common/event/event.ts';
import {
  decodeMessage,
  type EncodedEvent,
  encodeEvent,
  encodeMessage,
} from '@waybill/common/event/event-json.ts';
import type { ClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { PROGRESS_TYPE } from '@waybill/common/internal-call/progress.ts';
import {
  type createReplyAddressVerifier,
  REPLY_ADDRESS_FAULTS,
  type ReplyAddress,
  type ReplyAddressFault,
} from '@waybill/common/internal-call/reply-address.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import { DRAIN_MS } from '@waybill/common/shutdown-bounds.ts';
import { events } from '@waybill/common/telemetry/metrics.ts';
import { startEventSpan } from '@waybill/common/telemetry/tracing.ts';
import { within } from '@waybill/common/within.ts';
import type { Logger } from 'pino';
import type { Deliverer, Deliverers, DeliveryOutcome } from './deliverer.ts';

/** Messages taken and not yet acked: a second's worth at full rate, so that a frozen address stalls no other. */
const PREFETCH = 256;

export type RepliesOptions = {
  subscriber: Subscriber;
  publisher: Publisher;
  deliverers: Deliverers;
  replyAddresses: ReturnType<typeof createReplyAddressVerifier>;
  clock: ClockCheck;
  log: Logger;
};

export type Replies = {
  /**
   * Takes no more replies, and waits until those under way are acked, but no longer than 5 s (a blocked broker
   * confirms nothing): what is unacked then is delivered again to another dispatcher.
   */
  drain(): Promise<void>;
};

/** Starts consuming replies. */
export function consumeReplies({ subscriber, ...options }: RepliesOptions): Replies {
  const underWay = new Set<Promise<void>>();
  const subscription: Subscription = subscriber.subscribe({
    from: { replies: true },
    prefetch: PREFETCH,
    onDelivery(delivery) {
      const handled = handleDelivery(delivery, options).catch((error) => {
        if (delivery.signal.aborted) return;
        options.log.error({ err: error }, 'reply message not handled');
        delivery.requeue();
      });
      underWay.add(handled);
      void handled.finally(() => underWay.delete(handled));
    },
  });
  return {
    async drain() {
      await within(
        DRAIN_MS,
        subscription.cancel().then(() => Promise.all(underWay)),
      );
    },
  };
}

type DeliveryOptions = Omit<RepliesOptions, 'subscriber'>;

async function handleDelivery(delivery: Delivery, options: DeliveryOptions): Promise<void> {
  const { publisher, log } = options;
  let replies: CloudEvent[];
  try {
    replies = decodeMessage(delivery);
  } catch (error) {
    await deadLetter({ publisher, delivery, reason: 'unparsable', error: toPublicError(error, log) });
    return delivery.ack();
  }
  const results = await Promise.all(
    replies.map((reply) => deliver(reply, delivery, replies.length, options)),
  );
  const failing = results.filter((result) => result !== undefined);
  if (failing.length > 0) await setAside(failing, publisher, delivery.signal);
  delivery.ack();
}

/**
 * Resolves with the reply when its address is failing; otherwise it is dealt with. An expired one is dropped, but only by
 * a clock that a peer has confirmed of late, or after an attempt that did not put the clock into doubt.
 */
async function deliver(
  reply: CloudEvent,
  delivery: Delivery,
  batchSize: number,
  options: DeliveryOptions,
): Promise<EncodedEvent | undefined> {
  const { publisher, clock, log } = options;
  const giveUp = (reason: DeadLetterReason, error: AppError) =>
    deadLetter({ publisher, delivery, event: reply, reason, error });
  // A dispatcher whose clock is ahead would drop what others could still deliver, and never hear that it is.
  if (isExpired(reply) && clock.isConfirmed()) return account(reply, 'expired', log);
  const found = await findDeliverer(reply, options);
  if ('error' in found) {
    await giveUp(found.fault, found.error);
    return account(reply, found.fault, log);
  }
  const { traceparent, tracestate } = reply;
  const outcome = await route(reply, found, { delivery, batchSize, log });
  if (outcome === 'refused')
    await giveUp('unparsable', new AppError('invalid-request', 'the receiver cannot read the reply'));
  if (outcome === 'unknown-reply-address')
    await giveUp(outcome, new AppError(outcome, 'the reply address does not say what one of its kind does'));
  if (outcome !== 'failing' && outcome !== 'busy') return undefined;
  // It would be of no use by the time.
  if (reply.type === PROGRESS_TYPE) return undefined;
  if (isExpired(reply) && clock.readiness() === undefined) return account(reply, 'expired', log);
  // As it came: its next way through a dispatcher is a span beside this one, not below it.
  return encodeEvent({ ...reply, traceparent, tracestate });
}

type Found = { address: ReplyAddress; deliverer: Deliverer };
type NotFound = { fault: ReplyAddressFault; error: AppError };

/** Who delivers to the address of `reply`, or why nobody can. */
async function findDeliverer(
  { id, replyto }: CloudEvent,
  { replyAddresses, deliverers, log }: DeliveryOptions,
): Promise<Found | NotFound> {
  try {
    const address = await replyAddresses.verify(String(replyto));
    const deliverer = Object.hasOwn(deliverers, address.kind) ? deliverers[address.kind] : undefined;
    if (deliverer) return { address, deliverer };
    throw new AppError('unknown-reply-address', `cannot reply to an address of kind ${address.kind}`);
  } catch (thrown) {
    const error = toPublicError(thrown, log, { event_id: id });
    const fault = REPLY_ADDRESS_FAULTS.find((code) => code === error.code) ?? 'unknown-reply-address';
    return { fault, error };
  }
}

async function route(
  reply: CloudEvent,
  { address, deliverer }: Found,
  { delivery, batchSize, log }: { delivery: Delivery; batchSize: number; log: Logger },
): Promise<DeliveryOutcome> {
  const span = startEventSpan({
    name: 'route',
    kind: 'consumer',
    event: reply,
    label: reply.type,
    destination: delivery.destination,
    batchSize,
  });
  if (span.traceparent) Object.assign(reply, { traceparent: span.traceparent, tracestate: span.tracestate });
  const outcome = await deliverer.deliver(address, encodeEvent(reply));
  context.with(span.context, () => account(reply, outcome, log));
  span.end(outcome === 'delivered' ? undefined : { code: outcome });
  return outcome;
}

function isExpired(reply: CloudEvent): boolean {
  return Date.now() >= expiryMs(reply);
}

/** Into the broker for a second, as one message: it is still for one address. */
function setAside(replies: EncodedEvent[], publisher: Publisher, signal: AbortSignal): Promise<void> {
  const message = { to: { replies: 'later' as const }, ...encodeMessage(replies) };
  return publishUntilConfirmed(publisher, message, signal);
}

/** Counts and logs what became of a reply. */
function account(
  { id, type }: CloudEvent,
  outcome: DeliveryOutcome | ReplyAddressFault | 'expired',
  log: Logger,
): undefined {
  events.add(1, { tier: 'dispatcher', type, outcome });
  log.debug({ event_id: id, event_type: type, outcome }, 'reply routed');
}
