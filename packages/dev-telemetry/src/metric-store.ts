/** The state of every metric: of each series, what was exported last. */

/** What a series was at its last export. Counts go on from the start of the process that exports it. */
export type Series = {
  /** As OpenTelemetry has it: `waybill.event.duration`. */
  name: string;
  /** `s`, `By`, `{event}` …, or ''. */
  unit: string;
  /** Its attributes, and who exports it: `job` and `instance`. */
  labels: Record<string, string>;
} & (
  | { kind: 'counter' | 'gauge'; value: number }
  /** `counts` has one more than `bounds`: those above the last. */
  | { kind: 'histogram'; sum: number; counts: number[]; bounds: number[] }
);

export type MetricStore = {
  keep(series: Series): void;
  /** All of them but the gauges of processes that export no more. */
  read(): Series[];
};

/** Many times what all services have. */
const MAX_SERIES = 10_000;
/** A gauge that was not exported for so long says nothing of now: three times the interval of `npm start`, and more. */
const STALE_MS = 20_000;

/** Creates an empty store; beyond 10,000 series those that were exported longest ago are forgotten. */
export function createMetricStore({
  nowMs = () => performance.now(),
}: {
  nowMs?: () => number;
} = {}): MetricStore {
  const kept = new Map<string, { series: Series; atMs: number }>();

  return {
    keep(series) {
      const key = JSON.stringify([series.name, Object.entries(series.labels).sort()]);
      kept.delete(key);
      kept.set(key, { series, atMs: nowMs() });
      const [oldest] = kept.keys();
      if (kept.size > MAX_SERIES && oldest !== undefined) kept.delete(oldest);
    },
    read() {
      const staleMs = nowMs() - STALE_MS;
      return [...kept.values()]
        .filter(({ series, atMs }) => series.kind !== 'gauge' || atMs >= staleMs)
        .map(({ series }) => series);
    },
  };
}
