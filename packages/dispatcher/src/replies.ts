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
  decodeForwarded,
  type EncodedEvent,
  encodeMessage,
  exactEvent,
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
import { retraced } from './retraced.ts';

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
  let replies: EncodedEvent[];
  try {
    replies = decodeForwarded(delivery);
  } catch (error) {
    await deadLetter({ publisher, delivery, reason: 'unparsable', error: toPublicError(error, log) });
    return delivery.ack();
  }
  const find = createFind(options);
  const message = { delivery, batchSize: replies.length, find };
  const results = await Promise.all(replies.map((reply) => deliver(reply, message, options)));
  const failing = results.filter((result) => result !== undefined);
  if (failing.length > 0) await setAside(failing, publisher, delivery.signal);
  delivery.ack();
}

/** What a reply came by. */
type Message = { delivery: Delivery; batchSize: number; find: Find };

/**
 * Resolves with the reply when its address is failing; otherwise it is dealt with. An expired one is dropped, but only by
 * a clock that a peer has confirmed of late, or after an attempt that did not put the clock into doubt.
 */
async function deliver(
  reply: EncodedEvent,
  message: Message,
  options: DeliveryOptions,
): Promise<EncodedEvent | undefined> {
  const { clock, log } = options;
  const { event } = reply;
  // A dispatcher whose clock is ahead would drop what others could still deliver, and never hear that it is.
  if (isExpired(event) && clock.isConfirmed()) return account(event, 'expired', log);
  const found = await message.find(event);
  if ('error' in found) {
    await giveUp(reply, found, message, options);
    return account(event, found.fault, log);
  }
  const outcome = await route(reply, found, message, log);
  return outcome === 'delivered' ? undefined : dealWith(outcome, reply, message, options);
}

/** As it came: its next way through a dispatcher is a span beside this one, not below it. */
async function dealWith(
  outcome: DeliveryOutcome,
  reply: EncodedEvent,
  message: Message,
  options: DeliveryOptions,
): Promise<EncodedEvent | undefined> {
  const { clock, log } = options;
  const faultOf = (fault: DeadLetterReason, error: AppError) =>
    giveUp(reply, { fault, error }, message, options);
  if (outcome === 'refused')
    await faultOf('unparsable', new AppError('invalid-request', 'the receiver cannot read the reply'));
  if (outcome === 'unknown-reply-address')
    await faultOf(outcome, new AppError(outcome, 'the reply address does not say what one of its kind does'));
  if (outcome !== 'failing' && outcome !== 'busy') return undefined;
  // It would be of no use by the time.
  if (reply.event.type === PROGRESS_TYPE) return undefined;
  if (isExpired(reply.event) && clock.readiness() === undefined) return account(reply.event, 'expired', log);
  return reply;
}

function giveUp(
  reply: EncodedEvent,
  { fault: reason, error }: { fault: DeadLetterReason; error: AppError },
  { delivery }: Message,
  { publisher }: DeliveryOptions,
): Promise<void> {
  return deadLetter({ publisher, delivery, event: exactEvent(reply), reason, error });
}

type Found = { address: ReplyAddress; deliverer: Deliverer };
type NotFound = { fault: ReplyAddressFault; error: AppError };

/** Who delivers to the address of a reply, or why nobody can. */
type Find = (reply: CloudEvent) => Promise<Found | NotFound>;

/** Creates {@link Find} for the replies of one message: those for one address follow each other, and share an answer. */
function createFind(options: DeliveryOptions): Find {
  let latest: { replyto: string | undefined; found: Promise<Found | NotFound> } | undefined;
  return (reply) => {
    const { replyto } = reply;
    if (!latest || latest.replyto !== replyto) latest = { replyto, found: findDeliverer(reply, options) };
    return latest.found;
  };
}

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
  reply: EncodedEvent,
  { address, deliverer }: Found,
  { delivery, batchSize }: Message,
  log: Logger,
): Promise<DeliveryOutcome> {
  const { event } = reply;
  const span = startEventSpan({
    name: 'route',
    kind: 'consumer',
    event,
    label: event.type,
    destination: delivery.destination,
    batchSize,
  });
  const outcome = await deliverer.deliver(address, retraced(reply, span));
  context.with(span.context, () => account(event, outcome, log));
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
