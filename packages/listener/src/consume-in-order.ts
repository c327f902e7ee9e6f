/**
 * The events that a service takes in order: one by one where they have the same key, in the order of their partition, and
 * beside each other otherwise.
 *
 * | what happens to an event | those behind it with its key |
 * |---|---|
 * | it is handled, refused, or its deadline has passed | go on |
 * | it fails and is to be attempted again | wait here, all of its attempts long |
 * | it is dead-lettered | go on without it |
 * | its process dies, is stopped, or loses the broker | come after it, in their order, to the next process |
 *
 * So nothing of this is moved by the broker: a message that went through another queue would come back behind its
 * followers. The broker has one consumer at a time for a partition (`amqp-topology.ts`); the others stand by.
 *
 * What a process held when it died comes back together, the guilty one and its neighbours, and the broker counts all of them
 * alike. From the second death on each such event runs while no other one does, and partitions take turns by chance: with
 * each life of the process more of the innocent ones come before the guilty one, and are gone. A message that has come back
 * ten times when its turn comes is given up, one in a life of the process.
 */
import { setMaxListeners } from 'node:events';
import type { Delivery, Subscriber, Subscription } from '@waybill/common/broker/ports.ts';
import { PARTITIONS } from '@waybill/common/broker/topology.ts';
import { toAppError } from '@waybill/common/errors.ts';
import { within } from '@waybill/common/within.ts';
import type { Logger } from 'pino';
import type { Consumer } from './consume-events.ts';
import { createFailedAttempts } from './failed-attempts.ts';
import type { GiveUp } from './give-up.ts';
import { createHandleInOrder, type HandleInOrderOptions } from './handle-in-order.ts';
import { createSuspects } from './suspects-in-order.ts';

/**
 * Messages of a partition in hand. While an event waits for an attempt its message is unacked, and so are those behind it
 * that share a key with it or with one another: when there are so many, others of the partition wait too.
 */
const PREFETCH = 16;

export type ConsumeInOrderOptions = Omit<HandleInOrderOptions, 'failed' | 'suspects'> & {
  service: string;
  subscriber: Pick<Subscriber, 'subscribe'>;
  giveUp: GiveUp;
  /** A message that is not dealt with after this long is given back, with all behind it. */
  holdMs: number;
  log: Logger;
};

/** Consumes the partitions of a service; see above. */
export function consumeInOrder(options: ConsumeInOrderOptions): Consumer {
  const shared = { ...options, failed: createFailedAttempts(), suspects: createSuspects(options) };
  const consumers = byChance(PARTITIONS).map((partition) => consumePartition(partition, shared));
  return {
    isActive: () => consumers.every((consumer) => consumer.isActive()),
    async stop(waitMs) {
      await Promise.all(consumers.map((consumer) => consumer.stop(waitMs)));
    },
  };
}

/** Each order is as likely as any other: a comparison that is drawn anew each time would leave some of them in their places. */
function byChance(partitions: readonly number[]): number[] {
  const drawn = partitions.map((partition) => ({ partition, place: Math.random() }));
  return drawn.toSorted((a, b) => a.place - b.place).map(({ partition }) => partition);
}

/** A subscription to a partition, and what has come by it. */
type Turn = {
  subscription: Subscription;
  /** Aborts when nothing more is to be started. */
  stopped: AbortController;
  /** By delivery; each ends when it is acked, or will not be. */
  underWay: Map<Delivery, Promise<void>>;
};

function consumePartition(
  partition: number,
  options: ConsumeInOrderOptions & HandleInOrderOptions,
): Consumer {
  let turn = begin();
  let isStopped = false;
  let restarting: Promise<void> | undefined;

  function begin(): Turn {
    const underWay: Turn['underWay'] = new Map();
    const stopped = new AbortController();
    setMaxListeners(0, stopped.signal);
    const handle = createHandleInOrder(options, stopped.signal);
    const onDelivery = (delivery: Delivery) => {
      watchLoss(delivery.signal, underWay);
      const timer = setTimeout(restart, options.holdMs).unref();
      const settled = settle(delivery).finally(() => {
        clearTimeout(timer);
        underWay.delete(delivery);
      });
      underWay.set(delivery, settled);
    };
    async function settle(delivery: Delivery): Promise<void> {
      try {
        await handle(delivery);
      } catch (error) {
        if (delivery.signal.aborted || stopped.signal.aborted) return;
        options.log.error({ err: toAppError(error), queue: delivery.queue }, 'delivery not handled');
        void restart();
      }
    }
    const from = { partition, of: options.service };
    const subscription = options.subscriber.subscribe({ from, prefetch: PREFETCH, onDelivery });
    return { subscription, stopped, underWay };
  }

  const connections = new WeakSet<AbortSignal>();
  function watchLoss(signal: AbortSignal, underWay: Turn['underWay']): void {
    if (connections.has(signal)) return;
    connections.add(signal);
    signal.addEventListener('abort', () => survive(underWay), { once: true });
  }

  /** The broker is about to count what is left of these, and this process lives. */
  function survive(underWay: Turn['underWay']): void {
    for (const delivery of underWay.keys()) options.survivedLosses.add(delivery);
  }

  /** Gives back what is left once those that run have ended: they come again, in their order, to whoever is next in line. */
  function restart(): Promise<void> {
    if (restarting) return restarting;
    survive(turn.underWay);
    restarting = end(turn, options.holdMs).then(() => {
      restarting = undefined;
      if (!isStopped) turn = begin();
    });
    return restarting;
  }

  return {
    isActive: () => turn.subscription.isActive(),
    async stop(waitMs) {
      isStopped = true;
      await end(turn, waitMs);
    },
  };
}

async function end({ subscription, stopped, underWay }: Turn, waitMs: number): Promise<void> {
  stopped.abort();
  await within(waitMs, Promise.all(underWay.values()));
  await subscription.cancel();
}
