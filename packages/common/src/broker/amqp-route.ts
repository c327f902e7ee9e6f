/** Where things are in AMQP: the exchange and key of a destination, the queue of a source, and what spans call them. */
import type { MessagingDestination } from '../telemetry/tracing.ts';
import {
  DEAD_LETTERS_EXCHANGE,
  DEAD_LETTERS_QUEUE,
  EVENTS_EXCHANGE,
  OBSERVED_EXCHANGE,
  partitionKey,
  REPLIES_EXCHANGE,
  REPLIES_QUEUE,
  REPLIES_RETRY_QUEUE,
  requesterQueue,
  serviceQueues,
  TYPES_EXCHANGE,
} from './amqp-topology.ts';
import type { Destination, Source } from './ports.ts';

export type Route = { exchange: string; routingKey: string };

/** How to publish to `to`. The exchange `''` routes to the queue that the key names. */
export function routeOf(to: Destination): Route {
  if ('type' in to) {
    const { type, partition } = to;
    return {
      exchange: EVENTS_EXCHANGE,
      routingKey: partition === undefined ? type : partitionKey(type, partition),
    };
  }
  if ('observed' in to) return { exchange: OBSERVED_EXCHANGE, routingKey: to.observed };
  if ('requester' in to) return { exchange: '', routingKey: requesterQueue(to.requester).name };
  if ('answerersOf' in to) return { exchange: TYPES_EXCHANGE, routingKey: to.answerersOf };
  if ('service' in to) {
    const { work, retry, partition } = serviceQueues(to.service);
    if ('partition' in to) return { exchange: '', routingKey: partition(to.partition) };
    return { exchange: '', routingKey: to.delayMs === undefined ? work : retry(to.delayMs) };
  }
  if ('isolated' in to) return { exchange: '', routingKey: serviceQueues(to.isolated).isolated };
  if ('deadLetters' in to) return { exchange: DEAD_LETTERS_EXCHANGE, routingKey: to.deadLetters };
  if (to.replies === 'now') return { exchange: REPLIES_EXCHANGE, routingKey: REPLIES_QUEUE };
  return { exchange: '', routingKey: REPLIES_RETRY_QUEUE };
}

/** The queue to consume. */
export function queueOf(from: Source): string {
  if ('work' in from) return serviceQueues(from.work).work;
  if ('partition' in from) return serviceQueues(from.of).partition(from.partition);
  if ('requester' in from) return requesterQueue(from.requester).name;
  if ('answerers' in from) return serviceQueues(from.answerers).types;
  if ('isolated' in from) return serviceQueues(from.isolated).isolated;
  return 'replies' in from ? REPLIES_QUEUE : DEAD_LETTERS_QUEUE;
}

/**
 * What spans say of a route: `{exchange}:{routing key}`, and `:{queue}` for consumers, without what is empty or said twice
 * (OpenTelemetry's conventions for RabbitMQ).
 */
export function messagingDestination({ exchange, routingKey }: Route, queue?: string): MessagingDestination {
  const name = exchange === '' ? routingKey : `${exchange}:${routingKey}`;
  return {
    system: 'rabbitmq',
    name: queue === undefined || queue === routingKey ? name : `${name}:${queue}`,
    attributes: { 'rabbitmq.destination.routing_key': routingKey },
  };
}
