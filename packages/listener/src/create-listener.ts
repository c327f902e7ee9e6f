/**
 * A listener: one service's handlers on a broker. It touches neither the environment nor the process, so any number of
 * them can be in one; `run-listener.ts` makes it a program.
 */
import { withPartitions } from '@waybill/common/broker/partitions.ts';
import type { Publisher, Subscriber } from '@waybill/common/broker/ports.ts';
import { createPublishObserved } from '@waybill/common/broker/publish-observed.ts';
import { observersOf } from '@waybill/common/broker/topology.ts';
import { DRAIN_MS } from '@waybill/common/shutdown-bounds.ts';
import { inFlight } from '@waybill/common/telemetry/metrics.ts';
import pLimit from 'p-limit';
import { type Logger, pino } from 'pino';
import { assertListener } from './assert-listener.ts';
import { type Consumer, consumeEvents } from './consume-events.ts';
import { consumeInOrder } from './consume-in-order.ts';
import { createDecodeDelivery } from './decode-delivery.ts';
import { createGiveUp } from './give-up.ts';
import { createHandleDelivery } from './handle-delivery.ts';
import { createHandleEvent } from './handle-event.ts';
import type { Handlers, Observers } from './handler.ts';
import { orderedTypesOf, withDefaults } from './handler-options.ts';
import { observing } from './observed-deliveries.ts';
import { createPublishReply } from './publish-reply.ts';
import { createRequests } from './requests.ts';
import { createSurvivedLosses } from './survived-losses.ts';

/**
 * RabbitMQ takes a delivery back after 30 minutes without an ack, and closes the channel. So each of its events
 * has to be started early enough to end within 25, and is given back if it was not; the slowest handler allowed leaves
 * them 5 minutes to wait for their turn.
 */
const MAX_HOLD_MS = 25 * 60_000;

export type ListenerOptions<
  Data extends Record<string, unknown> = Record<string, unknown>,
  Observed extends Record<string, unknown> = Record<string, unknown>,
> = {
  /**
   * Names the service's queue, `waybill.<service>`; every instance of the service shares it. Lower-case letters,
   * digits and `-`; not `replies` or `dead-letters`, whose queues are taken.
   */
  service: string;
  /** One handler per event type that the service answers; the types that the broker's topology names for it. */
  handlers?: Handlers<Data>;
  /**
   * One observer per event type that the service only sees: each gets a copy, from the queue `waybill.<service>.observers`,
   * and whatever it does changes nothing for the client of the event. The types that the topology names as observed.
   */
  observers?: Observers<Observed>;
  publisher: Publisher;
  subscriber: Subscriber;
  /** Most events handled at once, and most messages taken from the broker (default 64); as many again are observed. */
  concurrency?: number;
  /** Most bytes of an event that a handler makes, its reply included (default 256 KiB). */
  maxEventBytes?: number | undefined;
  /** How long an event may wait for its turn here before it is given back; default: as long as the broker allows. */
  startWithinMs?: number;
  /** Default: nothing is logged. */
  log?: Logger;
};

export type Listener = {
  /** Whether events arrive now. */
  isActive(): boolean;
  /** How many events are being handled. */
  inFlight(): number;
  /**
   * Takes no more events, and waits until those under way are acked or lost, for at most `DRAIN_MS`. What is left then is
   * given back to the broker, and nothing counts against it.
   */
  drain(): Promise<void>;
  /** As `drain`, without waiting. The broker stays open: it belongs to the caller that made it. */
  close(): Promise<void>;
};

/**
 * Creates a listener, which takes events from now on. Every event is acked only after all that its handler produced is
 * confirmed by the broker; nobody else acks.
 *
 * @throws AppError `invalid-config` for a service, event type, `timeoutMs` or schema that cannot be, and a type that is both
 *   handled and observed.
 */
export function createListener<
  Data extends Record<string, unknown>,
  Observed extends Record<string, unknown>,
>({
  service,
  handlers = {} as Handlers<Data>,
  observers = {} as Observers<Observed>,
  log = pino({ level: 'silent' }),
  ...options
}: ListenerOptions<Data, Observed>): Listener {
  assertListener(service, handlers, observers);
  const stopping = new AbortController();
  // Not as an observer's events come: replies are found by their correlation ids.
  const shared = { ...options, log, stopping: stopping.signal, requestsSubscriber: options.subscriber };
  const consumers: CountedConsumer[] = [];
  if (Object.keys(handlers).length > 0) consumers.push(consume({ ...shared, service, handlers }));
  if (Object.keys(observers).length > 0)
    consumers.push(
      consume({
        ...shared,
        service: observersOf(service),
        // An observer's result is a handler's without a reply.
        handlers: observers as Handlers,
        subscriber: observing(options.subscriber),
      }),
    );

  async function stop(waitMs: number): Promise<void> {
    stopping.abort();
    await Promise.all(consumers.map((consumer) => consumer.stop(waitMs)));
  }

  return {
    isActive: () => consumers.every((consumer) => consumer.isActive()),
    inFlight: () => consumers.reduce((sum, consumer) => sum + consumer.inFlight(), 0),
    drain: () => stop(DRAIN_MS),
    close: () => stop(0),
  };
}

type CountedConsumer = Consumer & { inFlight(): number };

/** Consumes the queues of a service, or of its observers: they share nothing that one could take from the other. */
function consume({
  service,
  handlers,
  subscriber,
  requestsSubscriber,
  stopping,
  log,
  concurrency = 64,
  maxEventBytes,
  startWithinMs = MAX_HOLD_MS -
    Math.max(...Object.values(handlers).map((handler) => withDefaults(handler).timeoutMs)),
  ...options
}: Pick<ListenerOptions, 'service' | 'publisher' | 'concurrency' | 'maxEventBytes' | 'startWithinMs'> & {
  handlers: Handlers;
  subscriber: Pick<Subscriber, 'subscribe'>;
  requestsSubscriber: Pick<Subscriber, 'subscribe'>;
  stopping: AbortSignal;
  log: Logger;
}): CountedConsumer {
  const publisher = withPartitions(options.publisher);
  const limit = pLimit(concurrency);
  const survivedLosses = createSurvivedLosses();
  const publishReply = createPublishReply({ publisher });
  const publishObserved = createPublishObserved({ publisher, log });
  const requests = createRequests({
    ...{ service, publisher, publishObserved, maxEventBytes, log },
    subscriber: requestsSubscriber,
  });
  const giveUp = createGiveUp({ service, publisher, publishReply });
  const handleEvent = createHandleEvent({
    service,
    handlers,
    publisher,
    publishReply,
    publishObserved,
    requests,
    giveUp,
    maxEventBytes,
    stopping,
    log,
  });
  const handleDelivery = createHandleDelivery({
    service,
    publisher,
    handleEvent,
    giveUp,
    limit,
    survivedLosses,
    startWithinMs,
    log,
  });
  const consumers = [consumeEvents({ service, subscriber, concurrency, handleDelivery, survivedLosses })];
  if (orderedTypesOf(handlers).length > 0)
    consumers.push(
      consumeInOrder({
        ...{ service, subscriber, handleEvent, giveUp },
        decodeDelivery: createDecodeDelivery({ publisher, log }),
        ...{ limit, survivedLosses, holdMs: startWithinMs, log },
      }),
    );
  const countInFlight = () => limit.activeCount;
  const stopObserving = observeInFlight(countInFlight);
  return {
    isActive: () => consumers.every((consumer) => consumer.isActive()),
    inFlight: countInFlight,
    async stop(waitMs) {
      await Promise.all(consumers.map((consumer) => consumer.stop(waitMs)));
      stopObserving();
      // Not before: what is under way waits for replies.
      await requests.close();
    },
  };
}

function observeInFlight(count: () => number): () => void {
  const observe: Parameters<typeof inFlight.addCallback>[0] = (result) =>
    result.observe(count(), { tier: 'listener' });
  inFlight.addCallback(observe);
  return () => inFlight.removeCallback(observe);
}
