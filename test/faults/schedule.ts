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
/** Before the first fault the system answers for a while. */
const QUIET_MS = 1_000;

/** The faults of a run of `seconds`, by their time. The last one ends by then. */
export function makeSchedule({
  seed,
  seconds,
  hasStreams = false,
  hasTopology = false,
}: {
  seed: number;
  seconds: number;
  /** Whether what is declared at the broker is deleted and changed too: {@link TOPOLOGY_FAULTS}. */
  hasTopology?: boolean;
  /** Whether there are {@link STREAM_TARGETS} too. */
  hasStreams?: boolean;
}): ScheduledFault[] {
  const random = createRandom(seed);
  const targets = hasStreams
    ? {
        processes: [...TARGETS.processes, ...STREAM_TARGETS.processes],
        links: [...TARGETS.links, ...STREAM_TARGETS.links],
      }
    : TARGETS;
  const busyUntilMs = new Map<string, number>();
  const faults: ScheduledFault[] = [];
  let atMs = QUIET_MS;
  for (;;) {
    atMs += random.between(GAP_MS.min, GAP_MS.max);
    const fault =
      hasTopology && random.between(1, TOPOLOGY_ONE_IN) === 1
        ? makeTopologyFault(random, atMs)
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
  const range = random.between(1, LONG_ONE_IN) === 1 ? LONG_MS : DURATION_MS;
  const durationMs = random.between(range.min, range.max);
  const when = { atMs, durationMs };
  if (kindOfTarget === 1) return { ...when, kind: random.pick(BROKER_FAULTS), target: 'broker' };
  if (kindOfTarget <= 3)
    return { ...when, kind: random.pick(PROCESS_FAULTS), target: random.pick(targets.processes) };
  return { ...when, kind: random.pick(LINK_FAULTS), target: random.pick(targets.links) };
}

function makeTopologyFault(random: Random, atMs: number): ScheduledFault {
  const durationMs = random.between(DURATION_MS.min, DURATION_MS.max);
  const which = random.between(0, 999);
  return { atMs, durationMs, kind: random.pick(TOPOLOGY_FAULTS), target: 'broker', which };
}
