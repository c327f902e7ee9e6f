/**
 * What goes wrong, when, where, and for how long: decided by a seed alone, before the run. Faults of different targets
 * overlap; those of one target follow each other, which the run sees to when one takes longer than planned.
 */
import { createRandom, type Random } from './random.ts';

/** Instances per tier. */
export const INSTANCES = 2;

const indexes = Array.from({ length: INSTANCES }, (_, index) => index);

/** The names of everything that faults happen to. `web0-dispatcher1` leads from a public-web to a dispatcher. */
export const TARGETS = {
  processes: ['public-web', 'dispatcher', 'ping-listener'].flatMap((tier) =>
    indexes.map((index) => `${tier}-${index}`),
  ),
  links: [
    ...indexes.flatMap((web) => indexes.map((dispatcher) => `web${web}-dispatcher${dispatcher}`)),
    ...indexes.map((web) => `callback${web}`),
    ...indexes.map((dispatcher) => `dispatcher${dispatcher}-broker`),
    ...indexes.map((listener) => `listener${listener}-broker`),
  ],
} as const;

/** What there is besides in a run that streams datasets. `clients-broker` leads from both listeners to clients' queues. */
export const STREAM_TARGETS = {
  processes: [...indexes.map((index) => `data-dispatch-listener-${index}`), 'dataset-generator-0'],
  links: [...indexes.flatMap((index) => [`data${index}-broker`, `data${index}-datasets`]), 'clients-broker'],
} as const;

/**
 * What there is besides in a run with clients that stay. `client0` and `client0-grpc` lead from them to a public-web,
 * `web0-store` and `dispatcher0-store` to the store.
 */
export const CLIENT_TARGETS = {
  processes: ['store-0', ...indexes.map((index) => `square-listener-${index}`)],
  links: indexes.flatMap((index) => [
    ...[`client${index}`, `client${index}-grpc`],
    ...[`web${index}-store`, `dispatcher${index}-store`, `square${index}-broker`],
  ]),
} as const;

const PROCESS_FAULTS = ['kill', 'freeze', 'terminate'] as const;
const LINK_FAULTS = [
  'reset',
  'drop-to-server',
  'drop-to-client',
  'drop-both',
  'delay',
  'slice',
  'throttle',
] as const;
const BROKER_FAULTS = ['broker-kill', 'broker-alarm', 'broker-close-connections'] as const;

/** The store's database is locked (SQLite), or killed and started again (PostgreSQL): see `faulty-database.ts`. */
export const DATABASE_FAULT = 'lose-database';
const STORE_FAULTS = [...PROCESS_FAULTS, DATABASE_FAULT] as const;

/** What somebody does to what the services have declared: see `inject-topology.ts`. */
export const TOPOLOGY_FAULTS = [
  'delete-exchange',
  'delete-binding',
  'delete-queue',
  'shorten-queues',
  'take-permission',
  'retire-service',
] as const;

export type ProcessFault = (typeof PROCESS_FAULTS)[number];
export type LinkFault = (typeof LINK_FAULTS)[number];
export type BrokerFault = (typeof BROKER_FAULTS)[number];
export type TopologyFault = (typeof TOPOLOGY_FAULTS)[number];

/** One fault. `terminate`, `reset` and `broker-close-connections` take as long as they take. */
export type ScheduledFault = { atMs: number; durationMs: number } & (
  | { kind: ProcessFault; target: string }
  // At the store, so that it is not started while it cannot open its database.
  | { kind: typeof DATABASE_FAULT; target: 'store-0' }
  | { kind: LinkFault; target: string }
  | { kind: BrokerFault; target: 'broker' }
  // Which of those there are; at the broker, so that it is not killed before it has written a new queue down (3.10).
  | { kind: TopologyFault; target: 'broker'; which: number }
);

/** Every kind there is. */
export const FAULT_KINDS = [...PROCESS_FAULTS, ...LINK_FAULTS, ...BROKER_FAULTS] as const;

const GAP_MS = { min: 300, max: 2_000 };
const DURATION_MS = { min: 500, max: 5_000 };
/** Longer than a confirm is waited for (5 s), or even than heartbeats take to give up a silent peer (15 s). */
const LONG_MS = { min: 6_000, max: 16_000 };
const LONG_ONE_IN = 6;
const TOPOLOGY_ONE_IN = 3;
/** Everything that clients that stay are promised rests on it. */
const STORE_ONE_IN = 6;
/** Before the first fault the system answers for a while. */
const QUIET_MS = 1_000;

/** The faults of a run of `seconds`, by their time. The last one ends by then. */
export function makeSchedule({
  seed,
  seconds,
  hasStreams = false,
  hasTopology = false,
  hasClients = false,
}: {
  seed: number;
  seconds: number;
  /** Whether what is declared at the broker is deleted and changed too: {@link TOPOLOGY_FAULTS}. */
  hasTopology?: boolean;
  /** Whether there are {@link STREAM_TARGETS} too. */
  hasStreams?: boolean;
  /** Whether there are {@link CLIENT_TARGETS} too, and the store loses its database. */
  hasClients?: boolean;
}): ScheduledFault[] {
  const random = createRandom(seed);
  const all = [TARGETS, ...(hasStreams ? [STREAM_TARGETS] : []), ...(hasClients ? [CLIENT_TARGETS] : [])];
  const targets = {
    processes: all.flatMap(({ processes }) => processes),
    links: all.flatMap(({ links }) => links),
  };
  const oneIn = (count: number) => random.between(1, count) === 1;
  const busyUntilMs = new Map<string, number>();
  const faults: ScheduledFault[] = [];
  let atMs = QUIET_MS;
  for (;;) {
    atMs += random.between(GAP_MS.min, GAP_MS.max);
    const fault =
      hasTopology && oneIn(TOPOLOGY_ONE_IN)
        ? makeTopologyFault(random, atMs)
        : hasClients && oneIn(STORE_ONE_IN)
          ? makeStoreFault(random, atMs)
          : makeFault(random, atMs, targets);
    const endMs = atMs + fault.durationMs;
    if (atMs + DURATION_MS.min > seconds * 1_000) return faults;
    if (endMs > seconds * 1_000 || (busyUntilMs.get(fault.target) ?? 0) > atMs) continue;
    busyUntilMs.set(fault.target, endMs);
    faults.push(fault);
  }
}

/** Processes and links in equal parts, the broker half as often: everything else waits for it. */
function makeFault(
  random: Random,
  atMs: number,
  targets: Record<'processes' | 'links', readonly string[]>,
): ScheduledFault {
  const kindOfTarget = random.between(1, 5);
  const when = { atMs, durationMs: makeDuration(random) };
  if (kindOfTarget === 1) return { ...when, kind: random.pick(BROKER_FAULTS), target: 'broker' };
  if (kindOfTarget <= 3)
    return { ...when, kind: random.pick(PROCESS_FAULTS), target: random.pick(targets.processes) };
  return { ...when, kind: random.pick(LINK_FAULTS), target: random.pick(targets.links) };
}

function makeDuration(random: Random): number {
  const range = random.between(1, LONG_ONE_IN) === 1 ? LONG_MS : DURATION_MS;
  return random.between(range.min, range.max);
}

function makeStoreFault(random: Random, atMs: number): ScheduledFault {
  const durationMs = makeDuration(random);
  return { atMs, durationMs, kind: random.pick(STORE_FAULTS), target: 'store-0' };
}

function makeTopologyFault(random: Random, atMs: number): ScheduledFault {
  const durationMs = random.between(DURATION_MS.min, DURATION_MS.max);
  const which = random.between(0, 999);
  return { atMs, durationMs, kind: random.pick(TOPOLOGY_FAULTS), target: 'broker', which };
}
