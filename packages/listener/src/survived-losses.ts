/**
 * A connection that is lost is no crash of a process that lives on, but the broker counts both alike. So a process
 * remembers what it held whenever it lost a connection, and takes these losses off when such a message comes back to it.
 * What another process survived it cannot know: that counts as a crash here.
 */
import type { Delivery } from '@waybill/common/broker/ports.ts';
import { LRUCache } from 'lru-cache';

/** Losses remembered: a hundred bytes each. */
const MAX_LOSSES = 10_000;

/**
 * Most losses taken off for one message. A handler that keeps the event loop busy for longer than the heartbeat allows loses
 * its connection each time and survives it each time, and has to end some day; below the delivery limit in any case.
 */
const MAX_FORGIVEN = 5;

export type SurvivedLosses = {
  /** The connection that `delivery` came by is lost, and this process is not. */
  add(delivery: Delivery): void;
  /** How many of the failed deliveries that the broker counts for `delivery` are no crashes. */
  countOf(delivery: Delivery): number;
};

/** Creates the {@link SurvivedLosses} of one process. */
export function createSurvivedLosses(): SurvivedLosses {
  const losses = new LRUCache<string, true>({ max: MAX_LOSSES });
  const keyOf = ({ messageId }: Delivery, deliveryCount: number) => `${messageId} ${deliveryCount}`;
  return {
    add(delivery) {
      if (delivery.messageId) losses.set(keyOf(delivery, delivery.deliveryCount), true);
    },
    countOf(delivery) {
      let count = 0;
      for (let earlier = 0; earlier < delivery.deliveryCount && count < MAX_FORGIVEN; earlier += 1)
        if (losses.has(keyOf(delivery, earlier))) count += 1;
      return count;
    },
  };
}
