/**
 * Metrics as Prometheus reads them (text format 0.0.4), under the names that it gives to what it takes by OTLP: the dashboards
 * and alerts of `grafana/` ask for those.
 */
import { toName } from './attributes.ts';
import type { Series } from './metric-store.ts';

/** Renders all series, a line for each number. */
export function renderMetrics(all: readonly Series[]): string {
  const byName = Map.groupBy(all, nameOf);
  return [...byName]
    .sort(([a], [b]) => a.localeCompare(b))
    .flatMap(([name, [first, ...others]]) =>
      first
        ? [`# TYPE ${name} ${first.kind}`, ...[first, ...others].flatMap((each) => lines(name, each))]
        : [],
    )
    .map((line) => `${line}\n`)
    .join('');
}

const UNITS: Record<string, string> = { s: '_seconds', ms: '_milliseconds', By: '_bytes' };

function nameOf({ name, unit, kind }: Series): string {
  return `${toName(name)}${UNITS[unit] ?? ''}${kind === 'counter' ? '_total' : ''}`;
}

function lines(name: string, series: Series): string[] {
  const { labels } = series;
  if (series.kind !== 'histogram') return [line(name, labels, series.value)];
  let count = 0;
  const buckets = series.counts.map((inBucket, index) => {
    count += inBucket;
    return line(`${name}_bucket`, { ...labels, le: String(series.bounds[index] ?? '+Inf') }, count);
  });
  return [...buckets, line(`${name}_sum`, labels, series.sum), line(`${name}_count`, labels, count)];
}

function line(name: string, labels: Record<string, string>, value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}{${pairs.join(',')}} ${value}`;
}

function escaped(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
