/**
 * The deliveries of a partition: what they hold runs one by one by key, and beside each other otherwise.
 *
 * A message holds events of many keys, and comes again whole when one of them has not ended. So it is acked only after
 * every earlier one that shares a key with it: what comes again of a key is then all since the first that was not acked,
 * and nothing of it comes again behind a later one that does not.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { keyOf } from '@waybill/common/broker/partitions.ts';
import type { Delivery } from '@waybill/common/broker/ports.ts';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { LimitFunction } from 'p-limit';
import type { DecodeDelivery } from './decode-delivery.ts';
import type { FailedAttempts } from './failed-attempts.ts';
import type { HandleEvent } from './handle-event.ts';
import { crashesOf, historyHeaders } from './headers.ts';
import type { SurvivedLosses } from './survived-losses.ts';
import type { Suspects } from './suspects-in-order.ts';

/** A message that was in hand at so many deaths is handled while no other such one is. */
const SUSPECT_AT = 2;

export type HandleInOrderOptions = {
  decodeDelivery: DecodeDelivery;
  handleEvent: HandleEvent;
  /** Bounds the events handled at once. */
  limit: LimitFunction;
  survivedLosses: SurvivedLosses;
  failed: FailedAttempts;
  suspects: Suspects;
};

/**
 * Handles a delivery, and acks it when all that its events led to is confirmed, and what it may not overtake is acked.
 * Rejects, when nothing of it runs any more, if some of that is not done.
 */
export type HandleInOrder = (delivery: Delivery) => Promise<void>;

/** Creates the {@link HandleInOrder} of one subscription to a partition; after `stopped` it starts nothing. */
export function createHandleInOrder(
  { decodeDelivery, handleEvent, limit, survivedLosses, failed, suspects }: HandleInOrderOptions,
  stopped: AbortSignal,
): HandleInOrder {
  const events = createLasts();
  const deliveries = createLasts();
  let channel: AbortSignal | undefined;

  return (delivery) => {
    // By another channel all comes again that has not ended.
    if (delivery.signal !== channel) {
      events.clear();
      deliveries.clear();
    }
    channel = delivery.signal;
    const decoded = decodeDelivery(delivery);
    if (decoded instanceof Promise) return decoded.then(() => delivery.ack());
    const keys = new Set(decoded.map(keyOfEvent).filter((key) => key !== undefined));
    const earlier = [...keys].map(deliveries.of);
    const acked = handleAll(decoded, delivery).then(async () => {
      await Promise.all(earlier);
      delivery.ack();
    });
    for (const key of keys) deliveries.add(key, acked);
    return acked;
  };

  /** All take their places before anything is awaited. */
  async function handleAll(decoded: CloudEvent[], delivery: Delivery): Promise<void> {
    const crashes = crashesOf(delivery, survivedLosses.countOf(delivery));
    const { length: batchSize } = decoded;
    const ends = decoded.map((event, index) => {
      const run = () => attemptAll({ event, index, batchSize, delivery, crashes });
      return behindItsKey(event, () =>
        crashes >= SUSPECT_AT ? suspects(delivery, crashes, index, run) : run(),
      );
    });
    await Promise.allSettled(ends);
    await Promise.all(ends);
  }

  function behindItsKey(event: CloudEvent, run: () => Promise<void>): Promise<void> {
    const key = keyOfEvent(event);
    if (key === undefined) return run();
    const ended = events.of(key).then(run);
    events.add(key, ended);
    return ended;
  }

  async function attemptAll(given: Omit<Parameters<HandleEvent>[0], 'retryIn'>): Promise<void> {
    const { index, delivery, crashes } = given;
    let { event } = given;
    for (let failedAttempts = failed.of(delivery, index); ; failedAttempts += 1) {
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
      failed.set(delivery, index, failedAttempts + 1);
      await delay(retryMs, undefined, { signal: AbortSignal.any([stopped, delivery.signal]) });
      // As it came: a handler may have changed its data.
      event = (decodeDelivery(delivery) as CloudEvent[])[index] as CloudEvent;
    }
  }
}

const keyOfEvent = ({ partitionkey }: CloudEvent) => keyOf(partitionkey);

/** Of each key the last thing that has not ended well. */
type Lasts = {
  /** Ends when that of the key has. */
  of(key: string): Promise<void>;
  add(key: string, ended: Promise<void>): void;
  clear(): void;
};

function createLasts(): Lasts {
  const lasts = new Map<string, Promise<void>>();
  return {
    of: (key) => lasts.get(key) ?? Promise.resolve(),
    add(key, ended) {
      lasts.set(key, ended);
      const forget = () => {
        if (lasts.get(key) === ended) lasts.delete(key);
      };
      ended.then(forget, () => {});
    },
    clear: () => lasts.clear(),
  };
}
