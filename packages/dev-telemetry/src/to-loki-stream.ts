import { readAttributes, toText } from './attributes.ts';
import type { OtlpObject } from './otlp-json.ts';

/** One stream of a Loki answer. Labels and structured metadata stand together in `stream`, as Loki answers them. */
export type LokiStream = {
  stream: Record<string, string>;
  /** Nanoseconds since the epoch, and the line. */
  values: [string, string][];
};

/** A log record of OTLP/JSON as Loki's OTLP endpoint takes it: the body is the line, everything else is metadata. */
export function toLokiStream({ resource, record }: { resource: OtlpObject; record: OtlpObject }): LokiStream {
  const observedNs = toNanoseconds(record.observedTimeUnixNano);
  const timeNs = toNanoseconds(record.timeUnixNano, observedNs);
  const stream = {
    ...readAttributes(record.attributes),
    ...readAttributes(resource.attributes),
    observed_timestamp: observedNs,
    severity_number: String(record.severityNumber ?? 0),
    severity_text: String(record.severityText ?? ''),
    span_id: String(record.spanId ?? '').toLowerCase(),
    trace_id: String(record.traceId ?? '').toLowerCase(),
  };
  return { stream, values: [[timeNs, toText(record.body)]] };
}

/** Absent, zero and what is no number alike mean unknown (OTLP, LogRecord). */
function toNanoseconds(value: unknown, otherwise = '0'): string {
  const text = String(value);
  return /^[1-9]\d{0,19}$/.test(text) ? text : otherwise;
}
