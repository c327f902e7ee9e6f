/**
 * Order, for services that ask for it. Events with the same key go through the same queue, which one process at a time
 * consumes. The key is the attribute `partitionkey` (CloudEvents, Partitioning extension); without it an event has no place in
 * any order.
 *
 * Who publishes computes the partition. Whether somebody takes a type in order it learns from the broker: the key of
 * a partition is bound by those that do, and by nobody else.
 */
import { crc32 } from 'node:zlib';
import { LRUCache } from 'lru-cache';
import type { CloudEvent } from '../event/event.ts';
import type { Publisher } from './ports.ts';
import { PARTITION_COUNT } from './topology.ts';

/** How long a type that nobody takes in order is taken for one: a service that begins to is noticed after this. */
const UNORDERED_MS = 5_000;
/** Clients choose types. */
const MAX_TYPES = 10_000;

/** Of an event that has a key: `crc32(partitionkey) mod 8`, of its UTF-8. */
export function partitionOf({ partitionkey }: CloudEvent): number | undefined {
  const key = keyOf(partitionkey);
  return key === undefined ? undefined : crc32(key) % PARTITION_COUNT;
}

/** The same however it was written: a header has text only, where JSON has numbers. */
export function keyOf(partitionkey: unknown): string | undefined {
  return partitionkey === undefined || partitionkey === '' ? undefined : String(partitionkey);
}

/** Where an event goes: to a partition if it has a key. */
export function destinationOf(event: CloudEvent): TypeDestination {
  const { type } = event;
  const partition = partitionOf(event);
  return partition === undefined ? { type } : { type, partition };
}

export type TypeDestination = { type: string; partition?: number };

/** A {@link Publisher} to whom a partition may be named for any type. */
export type PartitioningPublisher = Publisher & {
  /** As {@link destinationOf}, without the partition where it is known that nobody takes the type in order. */
  destinationOf(event: CloudEvent): TypeDestination;
};

/** As `publisher`, but what nobody takes in order goes to whoever takes its type: at once where that is known. */
export function withPartitions(publisher: Publisher): PartitioningPublisher {
  const unordered = new LRUCache<string, true>({ max: MAX_TYPES, ttl: UNORDERED_MS });
  return {
    ...publisher,
    destinationOf: (event) => (unordered.has(event.type) ? { type: event.type } : destinationOf(event)),
    async publish(message) {
      const { to } = message;
      if (!('type' in to) || to.partition === undefined) return publisher.publish(message);
      const { type } = to;
      const whole = { ...message, to: { type } };
      if (unordered.has(type)) return publisher.publish(whole);
      const outcome = await publisher.publish(message);
      if (outcome !== 'unroutable') return outcome;
      const wholeOutcome = await publisher.publish(whole);
      // Set here alone, so that it is looked again after a while, however much is published.
      if (wholeOutcome === 'confirmed') unordered.set(type, true);
      return wholeOutcome;
    },
  };
}
