import { AmqpError } from './amqp-error.ts';
import { type Field, integerOf, type Table, textOf } from './codec/table.ts';

/** What the `x-…` arguments of a queue ask for. */
export type QueueSettings = {
  isQuorum: boolean;
  ttlMs: number;
  expiresMs: number | undefined;
  maxLength: number;
  maxBytes: number;
  overflow: (typeof OVERFLOWS)[number];
  deadLetterExchange: string | undefined;
  deadLetterRoutingKey: string | undefined;
  deliveryLimit: number;
  /** Messages of a higher priority, up to this one, are delivered first. */
  maxPriority: number;
  isSingleActiveConsumer: boolean;
};

const OVERFLOWS = ['drop-head', 'reject-publish', 'reject-publish-dlx'] as const;
/** Ten years; RabbitMQ's figure. */
export const MAX_TIME_TO_LIVE_MS = 10 * 365 * 86_400_000;
const MAX_PRIORITY = 255;
const TYPES = ['classic', 'quorum'] as const;
const STRATEGIES = ['at-most-once', 'at-least-once'];
const MODES = ['default', 'lazy'];

/** What only one type of queue knows: the others refuse it, rather than promise what they do not do. */
const ONLY_FOR: Record<string, string[]> = {
  classic: ['x-max-priority', 'x-queue-mode', 'x-queue-version', 'x-queue-master-locator'],
  quorum: [
    'x-delivery-limit',
    'x-dead-letter-strategy',
    'x-max-in-memory-length',
    'x-max-in-memory-bytes',
    'x-quorum-initial-group-size',
  ],
  stream: ['x-max-age', 'x-stream-max-segment-size-bytes', 'x-initial-cluster-size'],
};

const COUNTS_WITHOUT_EFFECT = [
  'x-queue-version',
  'x-max-in-memory-length',
  'x-max-in-memory-bytes',
  'x-quorum-initial-group-size',
];

/**
 * Reads and checks the arguments of a queue. Those that no type of queue knows are accepted, as RabbitMQ does; so are
 * those about disks and clusters, of which there are none here.
 *
 * @param resource names the queue in what the client is told.
 * @throws AmqpError `PRECONDITION_FAILED`.
 */
export function readQueueSettings(args: Table, resource: string): QueueSettings {
  function fail(name: string, why: string): never {
    throw new AmqpError('PRECONDITION_FAILED', `invalid arg '${name}' for ${resource}: ${why}`);
  }

  function read<T>(name: string, convert: (field: Field) => T | undefined, expected: string): T | undefined {
    const field = args.get(name);
    return field && (convert(field) ?? fail(name, `${expected} expected`));
  }

  const text = (name: string) => read(name, textOf, 'text');
  const count = (name: string, { min = 0, max = Number.MAX_SAFE_INTEGER } = {}) =>
    read(name, (field) => inRange(integerOf(field), min, max), `an integer from ${min} to ${max}`);

  function oneOf<T extends string>(name: string, allowed: readonly T[]): T | undefined {
    return read(name, (field) => allowed.find((value) => value === textOf(field)), allowed.join(' or '));
  }

  const type = oneOf('x-queue-type', TYPES) ?? 'classic';
  for (const [other, names] of Object.entries(ONLY_FOR))
    for (const name of names)
      if (other !== type && args.has(name)) fail(name, `not supported by queue type ${type}`);
  oneOf('x-dead-letter-strategy', STRATEGIES);
  oneOf('x-queue-mode', MODES);
  for (const name of COUNTS_WITHOUT_EFFECT) count(name);
  const settings: QueueSettings = {
    isQuorum: type === 'quorum',
    ttlMs: count('x-message-ttl', { max: MAX_TIME_TO_LIVE_MS }) ?? Infinity,
    expiresMs: count('x-expires', { min: 1, max: MAX_TIME_TO_LIVE_MS }),
    maxLength: count('x-max-length') ?? Infinity,
    maxBytes: count('x-max-length-bytes') ?? Infinity,
    overflow: oneOf('x-overflow', OVERFLOWS) ?? 'drop-head',
    deadLetterExchange: text('x-dead-letter-exchange'),
    deadLetterRoutingKey: text('x-dead-letter-routing-key'),
    deliveryLimit: count('x-delivery-limit') ?? Infinity,
    maxPriority: count('x-max-priority', { max: MAX_PRIORITY }) ?? 0,
    isSingleActiveConsumer:
      read('x-single-active-consumer', (field) => (field.type === 't' ? field.value : undefined), 'a bool') ??
      false,
  };
  if (settings.deadLetterRoutingKey !== undefined && settings.deadLetterExchange === undefined)
    fail('x-dead-letter-routing-key', 'routing key set but no dead-letter exchange');
  return settings;
}

function inRange(value: number | undefined, min: number, max: number): number | undefined {
  return value !== undefined && value >= min && value <= max ? value : undefined;
}
