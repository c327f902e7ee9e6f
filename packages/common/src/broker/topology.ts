/**
 * What a process needs at the broker, in the words of Waybill. What that is there (queues, exchanges, their arguments) only
 * the broker's own files know; for AMQP that is `amqp-topology.ts`.
 */

/**
 * The dispatcher's part, or a listener service with the event types that it answers and those that it observes, with the shared
 * parts. Of the types that it answers it takes `orderedTypes` in order.
 */
export type Topology =
  | 'dispatcher'
  | {
      service: string;
      types: readonly string[];
      observedTypes?: readonly string[];
      orderedTypes?: readonly string[];
    };

const OBSERVERS = '.observers';

/** What a service observes it takes as this one, which has queues of its own: no service is called so. */
export function observersOf(service: string): string {
  return `${service}${OBSERVERS}`;
}

/** Whether it is what {@link observersOf} gives. */
export function isObservers(service: string): boolean {
  return service.endsWith(OBSERVERS);
}

/** Back-off before attempts 2, 3, 4 …; the last repeats. */
export const RETRY_DELAYS_MS = [200, 1_000, 5_000] as const;
export type RetryDelayMs = (typeof RETRY_DELAYS_MS)[number];

/** What a service has a queue for: the back-offs, and what longer delays are made of. Each divides the next. */
export const WAIT_DELAYS_MS = [...RETRY_DELAYS_MS, 30_000, 300_000, 3_600_000] as const;
export type WaitDelayMs = (typeof WAIT_DELAYS_MS)[number];

/**
 * How many queues the events of a service that takes them in order are spread over, by their keys: so many of its
 * processes can share the work. It cannot change while events wait, since their keys would move.
 */
export const PARTITION_COUNT = 8;
/** All of them. */
export const PARTITIONS: readonly number[] = Array.from({ length: PARTITION_COUNT }, (_, i) => i);

/** Names that no service may have: the shared queues are called so. */
export const RESERVED_SERVICES: readonly string[] = ['replies', 'dead-letters'];
