/** How much travels together (docs/architecture.md, Why batches). */

/** Full batches under way at once per receiver. */
export const MAX_BATCHES_IN_FLIGHT = 4;
/** Batches under way at once beside which one goes that is not full; no more to several receivers that answer in time (ADR 16). */
export const MAX_PARTIAL_BATCHES_IN_FLIGHT = 2;
/** Events per HTTP call between tiers. */
export const HTTP_MAX_EVENTS = 128;
/** Events per AMQP message. A listener takes apart what comes back after a crash. */
export const AMQP_MAX_EVENTS = 64;
/** Bytes per batch on either, unless one event alone is larger: longer ones save nothing, and delay what waits behind them. */
export const MAX_BATCH_BYTES = 256 * 1024;
/** Bytes of one event, and of a body that a client may send, where `MAX_EVENT_BYTES` does not say. */
export const DEFAULT_EVENT_BYTES = 256 * 1024;
/** The least that `MAX_EVENT_BYTES` may be: what the tiers add to an event, and problems, fit. */
export const LEAST_EVENT_BYTES = 16 * 1024;
/** The most: twice as much, as JSON that is written anew may have, is less than the 16 MiB that RabbitMQ takes from 4.0 on. */
export const LARGEST_EVENT_BYTES = 8_000_000;
/**
 * Bytes an internal call may have. The same whatever `MAX_EVENT_BYTES` is here: what a tier has let in, or made, passes the
 * others, where it may be another.
 */
export const INTERNAL_BODY_LIMIT_BYTES = 2 * LARGEST_EVENT_BYTES;
