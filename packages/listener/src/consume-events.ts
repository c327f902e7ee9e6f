/** Wires a service's queues to its handlers: what arrives goes to `handle-delivery`. */
import type { Delivery, Publisher, Subscriber } from '@waybill/common/broker/ports.ts';
import { DRAIN_MS } from '@waybill/common/process/shutdown.ts';
import { inFlight } from '@waybill/common/telemetry/metrics.ts';
import { within } from '@waybill/common/within.ts';
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import { createGiveUp } from './give-up.ts';
import { createHandOn } from './hand-on.ts';
import { createHandleDelivery, type HeldDelivery, type Suspect } from './handle-delivery.ts';
import { createHandleEvent } from './handle-event.ts';
import type { Handler, HandlerWithOptions } from './handler.ts';
import { createPublishReply } from './publish-reply.ts';
import { createSurvivedLosses } from './survived-losses.ts';
import { takeSuspects } from './take-suspects.ts';

/** How long what is left at the end of a drain may take to be given back: half a second of the 10 (`shutdown.ts`). */
const GIVE_BACK_MS = 500;

export type Consumer = {
  /** Whether events arrive now. */
  isActive(): boolean;
  /**
   * Takes no more events, and waits until those under way are acked or lost, for at most `DRAIN_MS`. What is left then is
   * given back to the broker, and nothing counts against it.
   */
  drain(): Promise<void>;
};

/**
 * Consumes the work queue of `service`, and its isolated queue one message at a time: an event there is suspected of
 * having killed a process, and what else the process holds is counted along when it does it again.
 *
 * @param startWithinMs how long an event may wait for its turn here before it is given back.
 */
export function consumeEvents({
  service,
  handlers,
  publisher,
  subscriber,
  concurrency,
  startWithinMs,
  log,
}: {
  service: string;
  handlers: Record<string, Handler | HandlerWithOptions>;
  publisher: Publisher;
  subscriber: Subscriber;
  concurrency: number;
  startWithinMs: number;
  log: Logger;
}): Consumer {
  const stopping = new AbortController();
  const publishReply = createPublishReply({ publisher });
  const giveUp = createGiveUp({ service, publisher, publishReply });
  const handleEvent = createHandleEvent({
    service,
    handlers,
    publisher,
    publishReply,
    giveUp,
    handOn: createHandOn({ service, publisher, log }),
    stopping: stopping.signal,
    log,
  });
  const limit = pLimit(concurrency);
  const survivedLosses = createSurvivedLosses();
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
  const underWay = new Set<HeldDelivery>();
  const connections = new WeakSet<AbortSignal>();
  inFlight.addCallback((result) => result.observe(limit.activeCount, { tier: 'listener' }));

  function hold(delivery: Delivery, suspect?: Suspect): HeldDelivery {
    watchLoss(delivery.signal);
    const held = handleDelivery(delivery, suspect);
    underWay.add(held);
    void held.settled.then(() => underWay.delete(held));
    return held;
  }

  /** One listener for all that comes by a connection. */
  function watchLoss(signal: AbortSignal): void {
    if (connections.has(signal)) return;
    connections.add(signal);
    const onLoss = () => {
      for (const { delivery } of underWay) if (delivery.signal === signal) survivedLosses.add(delivery);
    };
    signal.addEventListener('abort', onLoss, { once: true });
  }

  // The isolated queue first, so that after a crash the suspect is tried before anything else can do the same.
  const suspects = takeSuspects({
    subscriber,
    from: { isolated: service },
    onDelivery: (delivery, one) => void settledOrLost(hold(delivery, one)).then(one.takeNext),
  });
  const work = subscriber.subscribe({
    from: { work: service },
    prefetch: concurrency,
    onDelivery: (delivery) => void hold(delivery),
  });

  return {
    isActive: () => work.isActive(),
    async drain() {
      stopping.abort();
      if (await within(DRAIN_MS, finish())) return;
      for (const held of underWay) held.giveBack('unfinished');
      await within(GIVE_BACK_MS, allSettled());
    },
  };

  async function finish(): Promise<void> {
    await Promise.all([suspects.cancel(), work.cancel()]);
    await allSettled();
  }

  async function allSettled(): Promise<void> {
    await Promise.all([...underWay].map(settledOrLost));
  }
}

/** What is lost is handled by somebody else, and may still wait here for a broker that never comes back. */
function settledOrLost({ settled, delivery }: HeldDelivery): Promise<void> {
  return Promise.race([settled, aborted(delivery.signal)]);
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
