/**
 * Takes OTLP/HTTP exports with JSON bodies (opentelemetry.io/docs/specs/otlp). Log lines without a trace are dropped: nothing
 * here could be asked for them.
 */
import { AppError } from '@waybill/common/errors.ts';
import { mediaType } from '@waybill/common/event/media-type.ts';
import { MAX_INTERNAL_JSON_DEPTH, parseJson } from '@waybill/common/event/parse-json.ts';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { MetricStore } from './metric-store.ts';
import { list, type OtlpObject, object } from './otlp-json.ts';
import { readMetrics } from './read-metrics.ts';
import type { TraceStore } from './store.ts';
import { toLokiStream } from './to-loki-stream.ts';
import { toProtobufJson } from './to-protobuf-json.ts';

/** Adds `POST /v1/traces`, `/v1/logs` and `/v1/metrics`. What cannot be kept is counted in a `partialSuccess`. */
export function addOtlpRoutes(
  app: FastifyInstance,
  { store, metrics }: { store: TraceStore; metrics: MetricStore },
): void {
  app.post('/v1/traces', async (request) => answer('rejectedSpans', takeSpans(store, readExport(request))));
  app.post('/v1/logs', async (request) =>
    answer('rejectedLogRecords', takeLogRecords(store, readExport(request))),
  );
  app.post('/v1/metrics', async (request) => {
    for (const series of readMetrics(readExport(request))) metrics.keep(series);
    return {};
  });
}

function readExport(request: FastifyRequest): OtlpObject {
  const type = mediaType(request.headers['content-type']);
  if (type !== 'application/json') {
    throw new AppError(
      'unsupported-media-type',
      'this collector takes JSON only: set OTEL_EXPORTER_OTLP_PROTOCOL=http/json',
    );
  }
  return object(parseJson(request.body as Buffer, { maxDepth: MAX_INTERNAL_JSON_DEPTH }));
}

/** Splits each group of spans by trace, so that a trace is read as it came: by resource and scope. */
function takeSpans(store: TraceStore, body: OtlpObject): number {
  let rejected = 0;
  for (const group of list(body.resourceSpans)) {
    for (const scoped of list(group.scopeSpans)) {
      for (const [traceId, spans] of byTrace(list(scoped.spans))) {
        const kept = { resource: group.resource, scopeSpans: [{ scope: scoped.scope, spans }] };
        const isKept = traceId !== undefined && store.add(traceId, 'spans', toProtobufJson(kept));
        if (!isKept) rejected += spans.length;
      }
    }
  }
  return rejected;
}

/** Spans without both their ids, in hex, come under `undefined`. */
function byTrace(spans: OtlpObject[]): Map<string | undefined, OtlpObject[]> {
  return Map.groupBy(spans, ({ traceId, spanId }) =>
    isHex(traceId, 32) && isHex(spanId, 16) ? traceId.toLowerCase() : undefined,
  );
}

function takeLogRecords(store: TraceStore, body: OtlpObject): number {
  let rejected = 0;
  for (const group of list(body.resourceLogs)) {
    const records = list(group.scopeLogs).flatMap((scoped) => list(scoped.logRecords));
    for (const record of records) {
      if (!isHex(record.traceId, 32)) continue;
      const json = JSON.stringify(toLokiStream({ resource: object(group.resource), record }));
      if (!store.add(record.traceId.toLowerCase(), 'logs', json)) rejected++;
    }
  }
  return rejected;
}

function isHex(value: unknown, digits: number): value is string {
  return typeof value === 'string' && value.length === digits && /^[0-9a-f]+$/i.test(value);
}

function answer(field: string, rejected: number): Record<string, unknown> {
  if (rejected === 0) return {};
  const errorMessage = 'without ids in hex, or of a trace that is too large to be kept';
  return { partialSuccess: { [field]: String(rejected), errorMessage } };
}
