/**
 * What a dead letter becomes when it is replayed: the same events with the same ids, as if they had just been sent by
 * somebody who waits for nothing. Attempts and crashes are counted from the start, because no header goes along.
 */

/** Whoever waited has been answered, a deadline that has passed would drop the event, and hops count anew. */
const GONE = ['correlationid', 'replyto', 'expirytime', 'traceparent', 'tracestate', 'hops'];
/** A listener service's own queues (packages/common/src/broker/amqp-topology.ts), of which the first part is its work queue. */
const SERVICE_QUEUE = /^(waybill\.[a-z0-9][a-z0-9-]{0,63})(?:\.isolated|\.retry\.\d+)?$/;
const REPLIES_QUEUE = 'waybill.replies';
const EVENTS_EXCHANGE = 'waybill.events';

/** @typedef {import('./read-dead-letter.mjs').DeadLetter} DeadLetter */

/**
 * Publishes it; the caller removes the dead letter afterwards, if it was.
 *
 * @param {import('./dead-letter-queue.mjs').DeadLetterQueue} queue
 * @param {DeadLetter} deadLetter
 * @returns {Promise<{ to?: string, problem?: string }>} where it went, or why it did not
 * @throws when the outcome is unknown
 */
export async function replayDeadLetter(queue, deadLetter) {
  const service = SERVICE_QUEUE.exec(deadLetter.queue ?? '')?.[1];
  if (service === REPLIES_QUEUE) return { problem: 'it is a reply, for which nobody waits any more' };
  const { contentType } = deadLetter.message.properties;
  const message = { body: toBody(deadLetter), options: { contentType } };
  for (const [exchange, routingKey] of routes(service, deadLetter)) {
    const outcome = await queue.publish({ ...message, exchange, routingKey });
    if (outcome === 'confirmed') return { to: exchange ? `${exchange}, by its type` : routingKey };
    if (outcome === 'refused') return { problem: `the queue for ${routingKey} is full` };
  }
  return { problem: 'no queue takes it: has its listener never been started at this broker?' };
}

/**
 * Only the service that it failed in: by its type it would go to all that handle the type.
 *
 * @param {string | undefined} service
 * @param {DeadLetter} deadLetter
 * @returns {[exchange: string, routingKey: string][]}
 */
function routes(service, { type }) {
  return [
    ...(service ? [/** @type {[string, string]} */ (['', service])] : []),
    ...(type ? [/** @type {[string, string]} */ ([EVENTS_EXCHANGE, type])] : []),
  ];
}

/** @param {DeadLetter} deadLetter */
function toBody({ events, isBatch, message }) {
  if (!events) return message.content;
  const replayed = events.map(toReplayed);
  return Buffer.from(JSON.stringify(isBatch ? replayed : replayed[0]));
}

/**
 * Its next span starts a trace, and links it to the one that `replayof` names (packages/common/src/telemetry/tracing.ts).
 *
 * @param {import('./read-dead-letter.mjs').Event} event
 */
function toReplayed(event) {
  const kept = Object.fromEntries(Object.entries(event).filter(([name]) => !GONE.includes(name)));
  const replayof = event.traceparent ?? event.replayof;
  return replayof === undefined ? kept : { ...kept, replayof };
}
