/**
 * Every instrument of Waybill, so that names and attributes stand in one place. Without telemetry they do nothing.
 *
 * `type` is the event's type, or `_OTHER` for one nobody handles: a label that clients choose is a cardinality attack.
 * Which process it was is in the resource (`service.name`, `service.instance.id`).
 */
import { metrics } from '@opentelemetry/api';
import { createCounter } from './counter.ts';

const meter = metrics.getMeter('waybill');

/** OpenTelemetry's conventions for HTTP say these. */
const HTTP_DURATIONS = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10];
/** And two more above: the default deadline is 30 s. */
const DURATIONS = { explicitBucketBoundaries: [...HTTP_DURATIONS, 20, 30] };

/** Seconds until a request to a public server was answered. Attributes: those of the conventions for HTTP. */
export const requestDuration = meter.createHistogram('http.server.request.duration', {
  description: 'Duration of HTTP server requests.',
  unit: 's',
  advice: { explicitBucketBoundaries: HTTP_DURATIONS },
});

/** Events a tier is done with. Attributes: `tier` (`public-web`, `dispatcher`, `listener`), `type`, `outcome`. */
export const events = createCounter(meter, 'waybill.events', {
  description: 'Events a tier is done with',
  unit: '{event}',
});

/** Seconds from an event's arrival in a tier to its outcome there. Attributes as {@link events}. */
export const eventDuration = meter.createHistogram('waybill.event.duration', {
  description: 'Time an event spends in a tier',
  unit: 's',
  advice: DURATIONS,
});

/** Requests that wait for their reply: `parked.addCallback((result) => result.observe(size))`. */
export const parked = meter.createObservableGauge('waybill.parked', {
  description: 'Requests that wait for their reply',
  unit: '{request}',
});

/** Clients that are attached to their mailbox, observed as {@link parked} is. */
export const sessions = meter.createObservableGauge('waybill.sessions', {
  description: 'Clients that are attached to their mailbox',
  unit: '{session}',
});

/** Entries in the mailboxes of attached clients, which they have not acknowledged; observed as {@link parked} is. */
export const mailboxDepth = meter.createObservableGauge('waybill.mailbox.depth', {
  description: 'Entries that attached clients have not acknowledged',
  unit: '{entry}',
});

/**
 * Age of the oldest entry that an attached client was handed and has not acknowledged, 0 without one; observed as {@link parked} is.
 * An entry is as old as its reply, so for a client that comes back it says how long it was away.
 */
export const mailboxAge = meter.createObservableGauge('waybill.mailbox.age', {
  description: 'Age of the oldest entry that an attached client has not acknowledged',
  unit: 's',
});

/** Entries handed to attached clients. Attribute: `by`, how they came: `push`, or `read` where that was missed or too early. */
export const mailboxEntries = createCounter(meter, 'waybill.mailbox.entries', {
  description: 'Entries handed to attached clients',
  unit: '{entry}',
});

/** Clients that attached. Attribute: `outcome`: `new` without a token, `recovered`, or `gap` where something was lost. */
export const attaches = createCounter(meter, 'waybill.attaches', {
  description: 'Clients that attached to their mailbox',
  unit: '{session}',
});

/**
 * What a store did with values under keys. Attributes: `of`, whose they are (`key`, an `Idempotency-Key`, or `result`, one of a listener);
 * `outcome`: `claimed` by a request that runs, `under-way` where another is at it, `found`, `missing`, `kept`, `released` as nothing ran,
 * `refused` as there is no room, `left-out` where an answer found none and only that there was one is kept, or, without `of`, `forgotten` as
 * its time was over.
 */
export const keptValues = createCounter(meter, 'waybill.kept_values', {
  description: 'What a store did with values under keys',
  unit: '{value}',
});

/** Bytes of the values that a store keeps under keys, observed as {@link parked} is. Attribute: `of`, as of {@link keptValues}. */
export const keptBytes = meter.createObservableGauge('waybill.kept_values.size', {
  description: 'Bytes of the values that a store keeps under keys',
  unit: 'By',
});

/** Events per batch sent. Attribute: `hop`, where they went: `dispatcher`, `broker`, `callback`. */
export const batchSize = meter.createHistogram('waybill.batch.size', {
  description: 'Events per batch sent',
  unit: '{event}',
  advice: { explicitBucketBoundaries: [1, 2, 4, 8, 16, 32, 64] },
});

/** Events a tier works on now, observed as {@link parked} is. Attribute: `tier`. */
export const inFlight = meter.createObservableGauge('waybill.in_flight', {
  description: 'Events a tier works on now',
  unit: '{event}',
});

/** Events put aside to be tried again. Attribute: `type`. */
export const retries = createCounter(meter, 'waybill.retries', {
  description: 'Events put aside to be tried again',
  unit: '{event}',
});

/** Events given up. Attributes: `type`, `reason`. */
export const deadLetters = createCounter(meter, 'waybill.dead_letters', {
  description: 'Events given up',
  unit: '{event}',
});

/** Connections to the broker that had to be made again. */
export const reconnects = createCounter(meter, 'waybill.reconnects', {
  description: 'Connections to the broker that had to be made again',
  unit: '{connection}',
});

/** Log lines that found no room. Attribute: `to`, where they should have gone (`stdout`, `otlp`). */
export const logLinesDropped = createCounter(meter, 'waybill.log.dropped', {
  description: 'Log lines that found no room',
  unit: '{line}',
});

/**
 * Calls sent to a peer of the mesh. Attributes: `peer`, its collector id where settings name it, else its address; `outcome`: what
 * it answered (`answered`, `not-found`, `refused`, `failed`), or why it did not (`not-accepted`, `outcome-unknown`).
 */
export const meshCalls = createCounter(meter, 'waybill.mesh.calls', {
  description: 'Calls sent to a peer of the mesh',
  unit: '{call}',
});

/** Seconds until a peer answered, or had not. Attributes as {@link meshCalls}. */
export const meshCallDuration = meter.createHistogram('waybill.mesh.call.duration', {
  description: 'Time a call to a peer of the mesh takes',
  unit: 's',
  advice: DURATIONS,
});

/** Calls that wait for a peer of the mesh, observed as {@link parked} is. Attribute: `peer`, as in {@link meshCalls}. */
export const meshInFlight = meter.createObservableGauge('waybill.mesh.in_flight', {
  description: 'Calls that wait for a peer of the mesh',
  unit: '{call}',
});

/** 1 while a peer of the mesh is connected, else 0. Attribute: `peer`. */
export const meshConnected = meter.createObservableGauge('waybill.mesh.connected', {
  description: 'Whether a peer of the mesh is connected',
});

/** 1 while no calls are sent to a peer of the mesh, as it does not answer; else 0. Attribute: `peer`. */
export const meshBreakerOpen = meter.createObservableGauge('waybill.mesh.breaker_open', {
  description: 'Whether the circuit breaker of a peer of the mesh is open',
});
