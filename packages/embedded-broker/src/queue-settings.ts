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
  isSingleActiveConsumer: boolean;
};

const OVERFLOWS = ['drop-head', 'reject-publish', 'reject-publish-dlx'] as const;
/** Erlang's timers end here, so RabbitMQ accepts no more. */
const MAX_MS = 2 ** 32 - 1;
const TYPES = ['classic', 'quorum'];
const STRATEGIES = ['at-most-once', 'at-least-once'];

/**
 * Reads and checks the arguments of a queue. Unknown ones are accepted, as RabbitMQ does.
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

  oneOf('x-dead-letter-strategy', STRATEGIES);
  const settings: QueueSettings = {
    isQuorum: oneOf('x-queue-type', TYPES) === 'quorum',
    ttlMs: count('x-message-ttl', { max: MAX_MS }) ?? Infinity,
    expiresMs: count('x-expires', { min: 1, max: MAX_MS }),
    maxLength: count('x-max-length') ?? Infinity,
    maxBytes: count('x-max-length-bytes') ?? Infinity,
    overflow: oneOf('x-overflow', OVERFLOWS) ?? 'drop-head',
    deadLetterExchange: text('x-dead-letter-exchange'),
    deadLetterRoutingKey: text('x-dead-letter-routing-key'),
    deliveryLimit: count('x-delivery-limit') ?? Infinity,
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
