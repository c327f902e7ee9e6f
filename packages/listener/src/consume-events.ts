/** Wires a service's queues to `handle-delivery`, and holds what is under way. */
import type { Delivery, Subscriber } from '@waybill/common/broker/ports.ts';
import { within } from '@waybill/common/within.ts';
import type { HandleDelivery, HeldDelivery, Suspect } from './handle-delivery.ts';
import type { SurvivedLosses } from './survived-losses.ts';
import { takeSuspects } from './take-suspects.ts';

/** How long what is left at the end of a drain may take to be given back: half a second of the 10 (`shutdown.ts`). */
const GIVE_BACK_MS = 500;

export type Consumer = {
  /** Whether events arrive now. */
  isActive(): boolean;
  /** Takes no more events, waits for those under way for at most `waitMs`, and gives back what is left then. */
  stop(waitMs: number): Promise<void>;
};

/**
 * Consumes the work queue of `service`, and its isolated queue one message at a time: an event there is suspected of
 * having killed a process, and what else the process holds is counted along when it does it again.
 */
export function consumeEvents({
  service,
  subscriber,
  concurrency,
  handleDelivery,
  survivedLosses,
}: {
  service: string;
  subscriber: Pick<Subscriber, 'subscribe'>;
  concurrency: number;
  handleDelivery: HandleDelivery;
  survivedLosses: SurvivedLosses;
}): Consumer {
  const underWay = new Set<HeldDelivery>();
  const connections = new WeakSet<AbortSignal>();

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
    async stop(waitMs) {
      if (await within(waitMs, finish())) return;
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
