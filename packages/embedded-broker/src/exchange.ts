import { type Table, textOf } from './codec/table.ts';
import { tableToComparable, toComparable } from './equivalence.ts';
import type { Queue } from './queue.ts';
import { matchesTopic } from './topic.ts';

export type ExchangeType = keyof typeof matchers;

export type ExchangeOptions = {
  name: string;
  type: ExchangeType;
  isDurable: boolean;
  isAutoDelete: boolean;
  /** Only other exchanges may publish to it. */
  isInternal: boolean;
  args: Table;
};

export type Exchange = ExchangeOptions & {
  /** Where to ask when no binding takes a message. */
  alternate: string | undefined;
  bindings: Map<string, Binding>;
};

export type Destination = { kind: 'queue'; queue: Queue } | { kind: 'exchange'; exchange: Exchange };
export type Binding = { destination: Destination; routingKey: string; args: Table };

const noHeaders: Table = new Map();

const matchers = {
  direct: ({ routingKey }: Binding, key: string) => routingKey === key,
  fanout: () => true,
  topic: ({ routingKey }: Binding, key: string) => matchesTopic(routingKey, key),
  headers: ({ args }: Binding, _key: string, headers: Table) => matchesHeaders(args, headers),
};

export function createExchange(options: ExchangeOptions): Exchange {
  return { ...options, alternate: textOf(options.args.get('alternate-exchange')), bindings: new Map() };
}

export function isExchangeType(type: string): type is ExchangeType {
  return Object.hasOwn(matchers, type);
}

/** The same binding made twice is one. */
export function bindingKey({ destination, routingKey, args }: Binding): string {
  const { name } = destination.kind === 'queue' ? destination.queue : destination.exchange;
  return JSON.stringify([destination.kind, name, routingKey, tableToComparable(args)]);
}

/** The destinations of the bindings that take a message with these keys and headers. */
export function matchingDestinations(
  exchange: Exchange,
  keys: string[],
  headers: Table = noHeaders,
): Destination[] {
  const matches = matchers[exchange.type];
  return [...exchange.bindings.values()]
    .filter((binding) => keys.some((key) => matches(binding, key, headers)))
    .map(({ destination }) => destination);
}

/** `x-match` `all` (the default) or `any`; arguments that begin with `x-` are not compared. */
function matchesHeaders(args: Table, headers: Table): boolean {
  const wanted = [...args].filter(([name]) => !name.startsWith('x-'));
  const matches = ([name, field]: (typeof wanted)[number]) =>
    headers.has(name) && (field.type === 'V' || toComparable(field) === toComparable(headers.get(name)));
  return textOf(args.get('x-match')) === 'any' ? wanted.some(matches) : wanted.every(matches);
}
