/** What a search looks at of a trace that is kept: times, failures, and the events that its spans are of. */
import { list, type OtlpObject, object } from './otlp-json.ts';

export type SummarisedSpan = {
  /** In hex. */
  spanId: string;
  service: string;
  name: string;
  startNs: bigint;
  endNs: bigint;
  isRoot: boolean;
  isFailed: boolean;
  /** Of spans of events. */
  eventType?: string | undefined;
  eventId?: string | undefined;
};

export type TraceSummary = {
  traceId: string;
  startNs: bigint;
  /** From its first span to the end of its last. */
  durationMs: number;
  isFailed: boolean;
  spans: SummarisedSpan[];
};

/** @param groups as `toProtobufJson` wrote them; nothing is made of none */
export function summarise(traceId: string, groups: readonly unknown[]): TraceSummary | undefined {
  const spans = groups.map(object).flatMap(spansOf);
  const [first] = spans;
  if (!first) return undefined;
  const startNs = spans.reduce((least, span) => (span.startNs < least ? span.startNs : least), first.startNs);
  const endNs = spans.reduce((most, span) => (span.endNs > most ? span.endNs : most), first.endNs);
  const durationMs = Number(endNs - startNs) / 1e6;
  return { traceId, startNs, durationMs, isFailed: spans.some(({ isFailed }) => isFailed), spans };
}

function spansOf(group: OtlpObject): SummarisedSpan[] {
  const service = attribute(object(group.resource), 'service.name') ?? 'unknown';
  return list(group.scopeSpans).flatMap(({ spans }) => list(spans).map((span) => toSpan(span, service)));
}

function toSpan(span: OtlpObject, service: string): SummarisedSpan {
  const startNs = toNs(span.startTimeUnixNano);
  return {
    spanId: Buffer.from(String(span.spanId), 'base64').toString('hex'),
    service,
    name: String(span.name ?? ''),
    startNs,
    endNs: toNs(span.endTimeUnixNano) || startNs,
    isRoot: span.parentSpanId === undefined,
    isFailed: object(span.status).code === 'STATUS_CODE_ERROR',
    eventType: attribute(span, 'cloudevents.event_type'),
    eventId: attribute(span, 'cloudevents.event_id'),
  };
}

/** Whatever is no number counts as unknown. */
function toNs(value: unknown): bigint {
  const text = String(value);
  return /^\d{1,20}$/.test(text) ? BigInt(text) : 0n;
}

function attribute({ attributes }: OtlpObject, name: string): string | undefined {
  const found = list(attributes).find(({ key }) => key === name);
  const { stringValue } = object(found?.value);
  return typeof stringValue === 'string' ? stringValue : undefined;
}
