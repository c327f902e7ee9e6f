import { list, type OtlpObject, object } from './otlp-json.ts';

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

/** Flat, with names as Loki has them: `http.method` and the member `method` of `http` are both `http_method`. */
function readAttributes(attributes: unknown, prefix = ''): Record<string, string> {
  const flat: Record<string, string> = {};
  for (const { key, value } of list(attributes)) {
    const name = prefix + String(key).replaceAll(/[^A-Za-z0-9_]/g, '_');
    const { kvlistValue } = object(value);
    if (kvlistValue !== undefined)
      Object.assign(flat, readAttributes(object(kvlistValue).values, `${name}_`));
    else flat[name] = toText(value);
  }
  return flat;
}

/** An OTLP AnyValue as text; a compound one as JSON. */
function toText(value: unknown): string {
  const plain = toPlain(value);
  return typeof plain === 'string' ? plain : JSON.stringify(plain);
}

function toPlain(value: unknown): unknown {
  const { stringValue, boolValue, intValue, doubleValue, bytesValue, arrayValue, kvlistValue } =
    object(value);
  if (arrayValue !== undefined) return list(object(arrayValue).values).map(toPlain);
  if (kvlistValue !== undefined) {
    const entries = list(object(kvlistValue).values).map((member) => [member.key, toPlain(member.value)]);
    return Object.fromEntries(entries);
  }
  return stringValue ?? boolValue ?? intValue ?? doubleValue ?? bytesValue ?? '';
}
