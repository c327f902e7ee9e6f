/**
 * What a dead letter becomes when it is replayed: the same events with the same ids, as if they had just been sent by
 * somebody who waits for nothing. Attempts and crashes are counted from the start, because no header goes along.
 */
import type { Route } from '@waybill/common/broker/amqp-route.ts';
import { EVENTS_EXCHANGE, REPLIES_QUEUE } from '@waybill/common/broker/amqp-topology.ts';
import type { DeadLetterQueue } from './dead-letter-queue.ts';
import type { DeadLetter, Event } from './read-dead-letter.ts';

/** The client that waited has been answered, a deadline that has passed would drop the event, and hops count anew. */
const GONE = ['correlationid', 'replyto', 'expirytime', 'traceparent', 'tracestate', 'hops'];
/** A listener service's own queues (packages/common/src/broker/amqp-topology.ts), of which the first part is its work queue. */
const SERVICE_QUEUE = /^(waybill\.[a-z0-9][a-z0-9-]{0,63}(\.observers)?)(?:\.isolated|\.retry\.\d+|\.p\d+)?$/;

/**
 * Publishes it; the caller removes the dead letter afterwards, if it was.
 *
 * @returns where it went, or why it did not
 * @throws when the outcome is unknown
 */
export async function replayDeadLetter(
  queue: DeadLetterQueue,
  deadLetter: DeadLetter,
): Promise<{ to?: string; problem?: string }> {
  const [, service, observers] = SERVICE_QUEUE.exec(deadLetter.queue ?? '') ?? [];
  if (service === REPLIES_QUEUE) return { problem: 'it is a reply, for which nobody waits any more' };
  const { contentType } = deadLetter.message.properties;
  const message = { body: toBody(deadLetter), options: { contentType } };
  for (const { exchange, routingKey } of routes(service, observers ? undefined : deadLetter.type)) {
    const outcome = await queue.publish({ ...message, exchange, routingKey });
    if (outcome === 'confirmed') return { to: exchange ? `${exchange}, by its type` : routingKey };
    if (outcome === 'refused') return { problem: `the queue for ${routingKey} is full` };
  }
  return { problem: 'no queue takes it: has its listener never been started at this broker?' };
}

/** Only the service that it failed in: by its type it would go to all that handle the type, and what was only observed there to the service that answers it. */
function routes(service: string | undefined, type: string | undefined): Route[] {
  return [
    ...(service ? [{ exchange: '', routingKey: service }] : []),
    ...(type ? [{ exchange: EVENTS_EXCHANGE, routingKey: type }] : []),
  ];
}

function toBody({ events, isBatch, message }: DeadLetter) {
  if (!events) return message.content;
  const replayed = events.map(toReplayed);
  return Buffer.from(JSON.stringify(isBatch ? replayed : replayed[0]));
}

/**
 * Its next span starts a trace, and links it to the one that `replayof` names (packages/common/src/telemetry/tracing.ts).
 */
function toReplayed(event: Event) {
  const kept = Object.fromEntries(Object.entries(event).filter(([name]) => !GONE.includes(name)));
  const replayof = event.traceparent ?? event.replayof;
  return replayof === undefined ? kept : { ...kept, replayof };
}
