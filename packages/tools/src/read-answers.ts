/** What clients were answered so far, from the metrics of public-webs. */
import { getText } from './get-text.ts';

/** What became of the events of one type that clients have sent. */
export type Answers = {
  type: string;
  /** How many, by `answered`, `accepted` or the code of a problem. */
  outcomes: Record<string, number>;
  /** At most so long took half of them, and 99 of 100; undefined where it was longer than is measured. */
  halfWithinMs: number | undefined;
  mostWithinMs: number | undefined;
};

/** @returns undefined where there are no metrics */
export async function readAnswers(metricsUrl: string): Promise<Answers[] | undefined> {
  try {
    const { status, body } = await getText(metricsUrl);
    return status === 200 ? toAnswers(body) : undefined;
  } catch {
    return undefined;
  }
}

/** With the unit in its name where Prometheus took it by OTLP, and without where it was scraped. */
const BUCKET = /^waybill_event_duration(?:_seconds)?_bucket\{(.*)\} (\S+)$/gm;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Reads Prometheus' text format. */
export function toAnswers(metrics: string): Answers[] {
  const byType = new Map<string, { outcomes: Map<string, number>; buckets: Map<number, number> }>();
  for (const [, labels = '', value] of metrics.matchAll(BUCKET)) {
    const { tier, type = '', outcome = '', le = '' } = readLabels(labels);
    if (tier !== 'public-web') continue;
    const entry = byType.get(type) ?? { outcomes: new Map(), buckets: new Map() };
    byType.set(type, entry);
    if (le === '+Inf') add(entry.outcomes, outcome, Number(value));
    add(entry.buckets, le === '+Inf' ? Number.POSITIVE_INFINITY : Number(le), Number(value));
  }
  return [...byType]
    .map(([type, { outcomes, buckets }]) => ({
      type,
      outcomes: Object.fromEntries(outcomes),
      halfWithinMs: within(buckets, 0.5),
      mostWithinMs: within(buckets, 0.99),
    }))
    .sort((a, b) => a.type.localeCompare(b.type));
}

function readLabels(text: string): Record<string, string> {
  const labels = [...text.matchAll(LABEL)].map(([, name, value = '']) => [
    name,
    value.replaceAll(/\\(.)/g, '$1'),
  ]);
  return Object.fromEntries(labels);
}

function add<Key>(sums: Map<Key, number>, key: Key, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value);
}

/** The smallest bound that `share` of all are within. */
function within(buckets: ReadonlyMap<number, number>, share: number): number | undefined {
  const needed = share * (buckets.get(Number.POSITIVE_INFINITY) ?? 0);
  const [bound = Number.POSITIVE_INFINITY] = [...buckets]
    .filter(([, count]) => count >= needed)
    .map(([bound]) => bound)
    .sort((a, b) => a - b);
  return Number.isFinite(bound) ? Math.round(1_000 * bound) : undefined;
}
