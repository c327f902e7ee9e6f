/**
 * What becomes of a message that its queue gives up: it is published again, with its history in `x-death`
 * (https://www.rabbitmq.com/docs/dlx). A queue gets it at most once around a circle of expiry and overflow; only a
 * consumer's reject may send it around again.
 */
import { decodeProperties, encodeProperties } from './codec/properties.ts';
import { type Field, integer, integerOf, type Table, text, textOf } from './codec/table.ts';
import { type Message, textsOf } from './message.ts';
import type { Queue } from './queue.ts';

export type DeathReason = 'rejected' | 'expired' | 'maxlen' | 'delivery_limit';

type DeadLetter = {
  message: Message;
  /** Whether `queue` may not have it, because it has been there. */
  isCycle(queue: Queue): boolean;
};

/** The message to publish in place of `message`, or undefined where the queue has no dead-letter exchange. */
export function toDeadLetter(queue: Queue, message: Message, reason: DeathReason): DeadLetter | undefined {
  const { deadLetterExchange, deadLetterRoutingKey } = queue.settings;
  if (deadLetterExchange === undefined) return undefined;
  const { headers = new Map(), expiration, ...properties } = decodeProperties(message.properties);
  const deaths = addDeath(deathsOf(headers), describeDeath({ queue, message, reason, headers, expiration }));
  const updated: Table = new Map(headers).set('x-death', { type: 'A', value: deaths.map(toField) });
  if (!headers.has('x-first-death-reason')) {
    updated.set('x-first-death-reason', text(reason));
    updated.set('x-first-death-queue', text(queue.name));
    updated.set('x-first-death-exchange', text(message.exchange));
  }
  // The new routing key stands for all old ones.
  if (deadLetterRoutingKey !== undefined) updated.delete('CC');
  return {
    message: {
      exchange: deadLetterExchange,
      routingKey: deadLetterRoutingKey ?? message.routingKey,
      // Its expiration is gone, or it would expire again at once.
      properties: encodeProperties({ ...properties, headers: updated }),
      body: message.body,
    },
    isCycle: (target) => reason !== 'rejected' && isCycle(deaths, target.name),
  };
}

function describeDeath(options: {
  queue: Queue;
  message: Message;
  reason: DeathReason;
  headers: Table;
  expiration: string | undefined;
}): Table {
  const { queue, message, reason, headers, expiration } = options;
  const keys = [message.routingKey, ...textsOf(headers.get('CC'))];
  const death: Table = new Map<string, Field>([
    ['count', integer(1)],
    ['reason', text(reason)],
    ['queue', text(queue.name)],
    ['time', { type: 'T', value: BigInt(Math.floor(Date.now() / 1000)) }],
    ['exchange', text(message.exchange)],
    ['routing-keys', { type: 'A', value: keys.map(text) }],
  ]);
  if (expiration !== undefined) death.set('original-expiration', text(expiration));
  return death;
}

/** One entry for each queue and reason, the latest first. */
function addDeath(deaths: Table[], death: Table): Table[] {
  const isSame = (other: Table) =>
    ['queue', 'reason'].every((name) => textOf(other.get(name)) === textOf(death.get(name)));
  const earlier = deaths.find(isSame);
  if (!earlier) return [death, ...deaths];
  const count = (integerOf(earlier.get('count')) ?? 0) + 1;
  return [new Map(earlier).set('count', integer(count)), ...deaths.filter((other) => other !== earlier)];
}

/** It has been in that queue, and nobody has rejected it since. */
function isCycle(deaths: Table[], queueName: string): boolean {
  const i = deaths.findIndex((death) => textOf(death.get('queue')) === queueName);
  return i >= 0 && deaths.slice(0, i + 1).every((death) => textOf(death.get('reason')) !== 'rejected');
}

function deathsOf(headers: Table): Table[] {
  const field = headers.get('x-death');
  return field?.type === 'A' ? field.value.flatMap((item) => (item.type === 'F' ? [item.value] : [])) : [];
}

function toField(value: Table): Field {
  return { type: 'F', value };
}
