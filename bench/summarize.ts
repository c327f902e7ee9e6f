import type { Measurement } from './measure.ts';
import { median, sum } from './statistics.ts';
import { WAYBILL } from './systems.ts';

/** One system at one number of connections: medians over the rounds. */
export type Summary = Measurement & {
  /** Of all its processes together. */
  ownCpuUs: number;
  ownRssBytes: number;
  /** How many times as many requests a second Waybill did in the same round; undefined if it was not measured. */
  waybillRatio: number | undefined;
};

/** A measurement of a round; the systems of one round were measured one right after the other. */
export type RoundMeasurement = Measurement & { round: number };

/** Medians of each figure by itself, errors in sum, in the order in which the measurements come first. */
export function summarize(measurements: readonly RoundMeasurement[]): Summary[] {
  const groups = Map.groupBy(measurements, ({ system, connections }) => `${connections} ${system}`);
  return [...groups.values()]
    .map((rounds) => summarizeRounds(rounds, measurements))
    .sort((a, b) => a.connections - b.connections);
}

function summarizeRounds(rounds: RoundMeasurement[], all: readonly RoundMeasurement[]): Summary {
  const { system, connections } = rounds[0] as RoundMeasurement;
  const of = (figure: (measurement: Measurement) => number) => median(rounds.map(figure));
  const ratios = rounds.flatMap((each) => ratioToWaybill(each, all) ?? []);
  return {
    ...{ system, connections },
    requestsPerS: of(({ requestsPerS }) => requestsPerS),
    p50Ms: of(({ p50Ms }) => p50Ms),
    p99Ms: of(({ p99Ms }) => p99Ms),
    errors: sum(rounds.map(({ errors }) => errors)),
    cpuUs: mediansByName(rounds.map(({ cpuUs }) => cpuUs)),
    ownCpuUs: of(({ cpuUs }) => sum(Object.values(cpuUs))),
    brokerCpuUs: of(({ brokerCpuUs }) => brokerCpuUs),
    loadCpuUs: of(({ loadCpuUs }) => loadCpuUs),
    rssBytes: mediansByName(rounds.map(({ rssBytes }) => rssBytes)),
    ownRssBytes: of(({ rssBytes }) => sum(Object.values(rssBytes))),
    waybillRatio: ratios.length > 0 ? median(ratios) : undefined,
  };
}

function ratioToWaybill(
  { connections, round, requestsPerS }: RoundMeasurement,
  all: readonly RoundMeasurement[],
): number | undefined {
  const waybill = all.find(
    (each) => each.system === WAYBILL && each.connections === connections && each.round === round,
  );
  return waybill && waybill.requestsPerS / requestsPerS;
}

function mediansByName(rounds: Record<string, number>[]): Record<string, number> {
  const names = Object.keys(rounds[0] ?? {});
  return Object.fromEntries(names.map((name) => [name, median(rounds.map((round) => round[name] ?? 0))]));
}
