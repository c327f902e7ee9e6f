/**
 * What a process needs at the broker, in the words of Waybill. What that is there (queues, exchanges, their arguments) only
 * the broker's own files know; for AMQP that is `amqp-topology.ts`.
 */

/** The dispatcher's part, or a listener service and the event types that it takes, with the shared parts. */
export type Topology = 'dispatcher' | { service: string; types: readonly string[] };

/** Back-off before attempts 2, 3, 4 …; the last repeats. */
export const RETRY_DELAYS_MS = [200, 1_000, 5_000] as const;
export type RetryDelayMs = (typeof RETRY_DELAYS_MS)[number];

/** Names that no service may have: the shared queues are called so. */
export const RESERVED_SERVICES: readonly string[] = ['replies', 'dead-letters'];
