/** Wires a service's queues to its handlers: what arrives goes to `handle-delivery`. */
import type { Delivery, Publisher, Subscriber } from '@waybill/common/broker/ports.ts';
import { serviceQueues } from '@waybill/common/broker/topology.ts';
import { inFlight } from '@waybill/common/metrics.ts';
import { DRAIN_MS } from '@waybill/common/shutdown.ts';
import { within } from '@waybill/common/within.ts';
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import { createGiveUp } from './give-up.ts';
import { createHandleDelivery } from './handle-delivery.ts';
import { createHandleEvent } from './handle-event.ts';
import type { Handler, HandlerWithOptions } from './handler.ts';
import { createPublishReply } from './publish-reply.ts';

export type Consumer = {
  /** Whether events arrive now. */
  isActive(): boolean;
  /** Takes no more events, and waits until those under way are acked or lost, for at most `DRAIN_MS`. */
  drain(): Promise<void>;
};

/**
 * Consumes the work queue of `service`, and its isolated queue one message at a time: an event there is suspected of
 * having killed a process, and a second one in the same process would be counted along when it does it again.
 */
export function consumeEvents({
  service,
  handlers,
  publisher,
  subscriber,
  concurrency,
  log,
}: {
  service: string;
  handlers: Record<string, Handler | HandlerWithOptions>;
  publisher: Publisher;
  subscriber: Subscriber;
  concurrency: number;
  log: Logger;
}): Consumer {
  const queues = serviceQueues(service);
  const stopping = new AbortController();
  const publishReply = createPublishReply({ publisher });
  const giveUp = createGiveUp({ service, publisher, publishReply });
  const handleEvent = createHandleEvent({
    service,
    handlers,
    publisher,
    publishReply,
    giveUp,
    stopping: stopping.signal,
    log,
  });
  const limit = pLimit(concurrency);
  const handleDelivery = createHandleDelivery({ service, publisher, handleEvent, giveUp, limit, log });
  const underWay = new Map<Promise<void>, AbortSignal>();
  inFlight.addCallback((result) => result.observe(limit.activeCount, { tier: 'listener' }));

  function onDelivery(delivery: Delivery): void {
    const handled = handleDelivery(delivery);
    underWay.set(handled, delivery.signal);
    void handled.finally(() => underWay.delete(handled));
  }

  // The isolated queue first, so that after a crash the suspect is tried before anything else can do the same.
  const subscriptions = [
    subscriber.subscribe({ queue: queues.isolated, prefetch: 1, onDelivery }),
    subscriber.subscribe({ queue: queues.work, prefetch: concurrency, onDelivery }),
  ];

  return {
    isActive: () => subscriptions.every((subscription) => subscription.isActive()),
    async drain() {
      stopping.abort();
      // What takes longer is given back to the broker with the connection.
      await within(DRAIN_MS, finish());
    },
  };

  async function finish(): Promise<void> {
    await Promise.all(subscriptions.map((subscription) => subscription.cancel()));
    // What is lost is handled by somebody else, and may still wait here for a broker that never comes back.
    await Promise.all([...underWay].map(([handled, lost]) => Promise.race([handled, aborted(lost)])));
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
