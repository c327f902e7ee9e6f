import { readAttributes } from './attributes.ts';
import type { Series } from './metric-store.ts';
import { list, type OtlpObject, object } from './otlp-json.ts';

/** The series of an export of metrics (OTLP/JSON). Exponential histograms and summaries are left out: nothing here makes them. */
export function readMetrics(body: OtlpObject): Series[] {
  return list(body.resourceMetrics).flatMap((group) => {
    const { service_name: job = '', service_instance_id: instance = '' } = readAttributes(
      object(group.resource).attributes,
    );
    const metrics = list(group.scopeMetrics).flatMap((scoped) => list(scoped.metrics));
    return metrics.flatMap((metric) => readMetric(metric, { job, instance }));
  });
}

function readMetric({ name, unit, ...data }: OtlpObject, by: Record<string, string>): Series[] {
  const named = { name: String(name), unit: String(unit ?? '') };
  const labelsOf = ({ attributes }: OtlpObject) => ({ ...readAttributes(attributes), ...by });
  const sum = object(data.sum);
  const kind = sum.isMonotonic === true ? 'counter' : 'gauge';
  const values = [...list(sum.dataPoints), ...list(object(data.gauge).dataPoints)].map((point): Series => {
    const value = Number(point.asDouble ?? point.asInt ?? 0);
    return { ...named, kind, value, labels: labelsOf(point) };
  });
  const histograms = list(object(data.histogram).dataPoints).map(
    (point): Series => ({
      ...named,
      kind: 'histogram',
      sum: Number(point.sum ?? 0),
      counts: numbers(point.bucketCounts),
      bounds: numbers(point.explicitBounds),
      labels: labelsOf(point),
    }),
  );
  return [...values, ...histograms];
}

/** 64-bit integers are strings in JSON. */
function numbers(value: unknown): number[] {
  return Array.isArray(value) ? value.map(Number) : [];
}
