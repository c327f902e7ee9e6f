/** How much travels together (docs/architecture.md, Why batches). */

/** Full batches under way at once per receiver. */
export const MAX_BATCHES_IN_FLIGHT = 4;
/** Batches under way at once per receiver beside which one goes that is not full (ADR 16). */
export const MAX_PARTIAL_BATCHES_IN_FLIGHT = 2;
/** Events per HTTP call between tiers. */
export const HTTP_MAX_EVENTS = 128;
/** Events per AMQP message. A listener takes apart what comes back after a crash. */
export const AMQP_MAX_EVENTS = 64;
/** Bytes of one event, and of a body that a client may send. */
export const MAX_EVENT_BYTES = 256 * 1024;
/** Bytes per batch on either, unless one event alone is larger. */
export const MAX_BATCH_BYTES = MAX_EVENT_BYTES;
/** Bytes an internal call may have: a full batch, or one event larger than that with what the tiers add to it. */
export const INTERNAL_BODY_LIMIT_BYTES = 2 * MAX_BATCH_BYTES;
