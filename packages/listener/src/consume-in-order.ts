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
import { setTimeout as delay } from 'node:timers/promises';
import { keyOf } from '@waybill/common/broker/partitions.ts';
import type { Delivery, Subscriber, Subscription } from '@waybill/common/broker/ports.ts';
import { PARTITIONS } from '@waybill/common/broker/topology.ts';
import { AppError, toAppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { within } from '@waybill/common/within.ts';
import pLimit, { type LimitFunction } from 'p-limit';
import type { Logger } from 'pino';
import type { Consumer } from './consume-events.ts';
import type { DecodeDelivery } from './decode-delivery.ts';
import { originalsOf } from './delivered-event.ts';
import type { GiveUp } from './give-up.ts';
import type { HandleEvent } from './handle-event.ts';
import { crashesOf, failedAttemptsOf, historyHeaders } from './headers.ts';
import { ACK_ARRIVES_MS } from './isolation.ts';
import type { SurvivedLosses } from './survived-losses.ts';

/** Messages of a partition in hand: so many keys can wait for an attempt before others of the partition wait too. */
const PREFETCH = 16;
/** A message that was in hand at so many deaths is handled while no other such one is. */
const SUSPECT_AT = 2;
/** More than stops and lost connections, which are counted as well, come to in a row. By then 1 in 256 innocent ones had no turn yet. */
const MAX_CRASHES = 10;

export type ConsumeInOrderOptions = {
  service: string;
  subscriber: Pick<Subscriber, 'subscribe'>;
  decodeDelivery: DecodeDelivery;
  handleEvent: HandleEvent;
  giveUp: GiveUp;
  /** Bounds the events handled at once. */
  limit: LimitFunction;
  survivedLosses: SurvivedLosses;
  /** A message that is not dealt with after this long is given back, with all behind it. */
  holdMs: number;
  log: Logger;
};

/** Consumes the partitions of a service; see above. */
export function consumeInOrder(options: ConsumeInOrderOptions): Consumer {
  const suspects = createSuspects(options);
  const byChance = PARTITIONS.toSorted(() => Math.random() - 0.5);
  const consumers = byChance.map((partition) => consumePartition(partition, { ...options, suspects }));
  return {
    isActive: () => consumers.every((consumer) => consumer.isActive()),
    async stop(waitMs) {
      await Promise.all(consumers.map((consumer) => consumer.stop(waitMs)));
    },
  };
}

/** A subscription to a partition, and what has come by it. */
type Turn = {
  subscription: Subscription;
  /** Aborts when nothing more is to be started. */
  stopped: AbortController;
  /** By delivery; each ends when it is acked, or will not be. */
  underWay: Map<Delivery, Promise<void>>;
};

type PartitionOptions = ConsumeInOrderOptions & { suspects: Suspects };

function consumePartition(partition: number, options: PartitionOptions): Consumer {
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
        delivery.ack();
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
    const onLoss = () => {
      for (const delivery of underWay.keys()) options.survivedLosses.add(delivery);
    };
    signal.addEventListener('abort', onLoss, { once: true });
  }

  /** Gives back what is left once those that run have ended: they come again, in their order, to whoever is next in line. */
  function restart(): Promise<void> {
    restarting ??= end(turn, options.holdMs).then(() => {
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

/** Handles a delivery; resolves when all that its events led to is confirmed, and rejects when some of it is not done. */
type HandleInOrder = (delivery: Delivery) => Promise<void>;

function createHandleInOrder(
  { decodeDelivery, handleEvent, limit, survivedLosses, suspects }: PartitionOptions,
  stopped: AbortSignal,
): HandleInOrder {
  /** The last event of each key that has not ended. */
  const lasts = new Map<string, Promise<void>>();
  let channel: AbortSignal | undefined;

  return async (delivery) => {
    // By another channel all comes again that has not ended.
    if (delivery.signal !== channel) lasts.clear();
    channel = delivery.signal;
    const events = decodeDelivery(delivery);
    if (events instanceof Promise) return void (await events);
    const crashes = crashesOf(delivery, survivedLosses.countOf(delivery));
    const { length: batchSize } = events;
    // All take their places before anything is awaited.
    const ends = events.map((event, index) => {
      const run = () => attemptAll({ event, index, batchSize, delivery, crashes });
      return behindItsKey(event, () =>
        crashes >= SUSPECT_AT ? suspects(delivery, crashes, index, run) : run(),
      );
    });
    await Promise.allSettled(ends);
    await Promise.all(ends);
  };

  function behindItsKey({ partitionkey }: CloudEvent, run: () => Promise<void>): Promise<void> {
    const key = keyOf(partitionkey);
    if (key === undefined) return run();
    const ended = (lasts.get(key) ?? Promise.resolve()).then(run);
    lasts.set(key, ended);
    const forget = () => {
      if (lasts.get(key) === ended) lasts.delete(key);
    };
    ended.then(forget, () => {});
    return ended;
  }

  async function attemptAll(given: Omit<Parameters<HandleEvent>[0], 'retryIn'>): Promise<void> {
    const { index, delivery, crashes } = given;
    let { event } = given;
    for (let failedAttempts = failedAttemptsOf(delivery); ; failedAttempts += 1) {
      let retryMs: number | undefined;
      const retryIn = (delayMs: number) => {
        retryMs = delayMs;
      };
      const headers = historyHeaders(delivery, { failedAttempts, crashes });
      await limit(() => {
        if (stopped.aborted || delivery.signal.aborted)
          throw new AppError('delivery-lost', 'the event is given back');
        return handleEvent({ ...given, event, retryIn, delivery: { ...delivery, headers } });
      });
      if (retryMs === undefined) return;
      await delay(retryMs, undefined, { signal: AbortSignal.any([stopped, delivery.signal]) });
      // As it came: a handler may have changed its data.
      event = (decodeDelivery(delivery) as CloudEvent[])[index] as CloudEvent;
    }
  }
}

/** Runs an event of a message that was in hand when processes died, or gives it up. */
type Suspects = (
  delivery: Delivery,
  crashes: number,
  index: number,
  run: () => Promise<void>,
) => Promise<void>;

function createSuspects({ giveUp, log }: ConsumeInOrderOptions): Suspects {
  const one = pLimit(1);
  let guilty: Delivery | undefined;

  async function runOrGiveUp(...[delivery, crashes, index, run]: Parameters<Suspects>): Promise<void> {
    if (crashes >= MAX_CRASHES) guilty ??= delivery;
    if (guilty !== delivery) return run();
    const event = originalsOf(delivery)[index] as CloudEvent;
    log.warn({ event_id: event.id, crashes }, 'event given up after repeated crashes');
    const message = `${crashes} processes died, or lost their connection, while they held this event`;
    const error = { code: 'listener-crashed', message };
    await giveUp(event, delivery, { reason: 'listener-crashed', error });
  }

  return (...suspect) =>
    new Promise((resolve, reject) => {
      void one(async () => {
        await runOrGiveUp(...suspect).then(resolve, reject);
        // It must not come again if the next one kills the process.
        await delay(ACK_ARRIVES_MS);
      });
    });
}
