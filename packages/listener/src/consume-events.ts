/** Wires a service's queues to its handlers: what arrives goes to `handle-delivery`. */
import type { Delivery, Publisher, Subscriber } from '@waybill/common/broker/ports.ts';
import { serviceQueues } from '@waybill/common/broker/topology.ts';
import { inFlight } from '@waybill/common/metrics.ts';
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import { createHandleDelivery } from './handle-delivery.ts';
import { createHandleEvent } from './handle-event.ts';
import type { Handler, HandlerWithOptions } from './handler.ts';
import { createPublishReply } from './publish-reply.ts';

export type Consumer = {
  /** Whether events arrive now. */
  isActive(): boolean;
  /** Takes no more events, and waits until those under way are acked. */
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
  const publishReply = createPublishReply({ publisher });
  const handleEvent = createHandleEvent({ service, handlers, publisher, publishReply, log });
  const limit = pLimit(concurrency);
  const handleDelivery = createHandleDelivery({ service, publisher, handleEvent, limit, log });
  const underWay = new Set<Promise<void>>();
  inFlight.addCallback((result) => result.observe(limit.activeCount, { tier: 'listener' }));

  function onDelivery(delivery: Delivery): void {
    const handled = handleDelivery(delivery);
    underWay.add(handled);
    void handled.finally(() => underWay.delete(handled));
  }

  const subscriptions = [
    subscriber.subscribe({ queue: queues.work, prefetch: concurrency, onDelivery }),
    subscriber.subscribe({ queue: queues.isolated, prefetch: 1, onDelivery }),
  ];

  return {
    isActive: () => subscriptions.every((subscription) => subscription.isActive()),
    async drain() {
      await Promise.all(subscriptions.map((subscription) => subscription.cancel()));
      await Promise.all(underWay);
    },
  };
}
