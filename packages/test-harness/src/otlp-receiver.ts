/**
 * An OTLP/HTTP backend for tests: takes traces, logs and metrics as JSON, and answers what came. Anything else, such
 * as protobuf, is accepted and listed in `requests` without being read.
 */
import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { PATIENCE_MS } from './eventually.ts';

type Value = string | number | boolean | null | undefined | Value[] | { [key: string]: Value };
export type Attributes = Record<string, Value>;

export type ReceivedSpan = {
  /** Hex. */
  traceId: string;
  spanId: string;
  /** Undefined for the first span of a trace. */
  parentSpanId?: string;
  name: string;
  kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  attributes: Attributes;
  links: { traceId: string; spanId: string }[];
  /** Whether the span reports an error. */
  isError: boolean;
  /** `service.name`. */
  service: string;
  resource: Attributes;
  /** Nanoseconds since the epoch. */
  start: bigint;
  end: bigint;
};

export type ReceivedLog = {
  body: Value;
  attributes: Attributes;
  traceId?: string;
  spanId?: string;
  /** Severity text, such as `info`. */
  severity: string;
  severityNumber: number;
  service: string;
  resource: Attributes;
};

export type OtlpReceiver = Awaited<ReturnType<typeof startOtlpReceiver>>;

/**
 * Starts a receiver on a free port of loopback. `env` points a child process at it and makes it export quickly.
 *
 * @example
 * const receiver = await startOtlpReceiver();
 * spawn(process.execPath, [...], { env: { ...process.env, ...receiver.env } });
 * const [span] = await receiver.waitFor(() => receiver.spans().filter(({ name }) => name === 'GET /'));
 */
export async function startOtlpReceiver() {
  const requests: { path: string; contentType: string; bytes: number }[] = [];
  const bodies: Record<string, unknown>[] = [];
  const arrivals = new EventEmitter().setMaxListeners(0);
  const server = createServer(async (request, response) => {
    const contentType = request.headers['content-type'] ?? '';
    const body = await buffer(request).catch(() => undefined);
    if (body === undefined) return; // The sender died while sending.
    requests.push({ path: request.url ?? '', contentType, bytes: body.length });
    const isJson = contentType === 'application/json';
    if (isJson) bodies.push(JSON.parse(body.toString()));
    response.setHeader('content-type', contentType).end(isJson ? '{}' : '');
    arrivals.emit('arrival');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url,
    /** The `OTEL_*` variables for a child process. */
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      OTEL_BLRP_SCHEDULE_DELAY: '50',
      OTEL_METRIC_EXPORT_INTERVAL: '100',
      OTEL_METRIC_EXPORT_TIMEOUT: '100',
    },
    /** Every export that came, in order. */
    requests: () => [...requests],
    spans: () => bodies.flatMap(readSpans),
    logs: () => bodies.flatMap(readLogs),
    /** Each name once. */
    metricNames: () => [...new Set(bodies.flatMap(readMetricNames))],
    /** What a counter was at each export, in order, one list for each set of attributes. */
    counts: (name: string) => readCounts(bodies, name),
    /** The resources of the metrics. */
    metricResources: () => bodies.flatMap((body) => list(body.resourceMetrics).map(readResource)),
    /**
     * Resolves with what `find` answers as soon as that is neither `undefined`, `false` nor an empty list; looks again
     * at each arrival. Rejects after `timeoutMs` (default {@link PATIENCE_MS}).
     */
    async waitFor<T>(find: () => T | undefined | false, { timeoutMs = PATIENCE_MS } = {}): Promise<T> {
      const signal = AbortSignal.timeout(timeoutMs);
      for (;;) {
        const found = find();
        if (found && !(Array.isArray(found) && found.length === 0)) return found;
        await once(arrivals, 'arrival', { signal });
      }
    },
    async close(): Promise<void> {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const SPAN_KINDS = ['internal', 'internal', 'server', 'client', 'producer', 'consumer'] as const;
const STATUS_ERROR = 2;

// biome-ignore lint/suspicious/noExplicitAny: OTLP/JSON as it comes, read only here.
type Json = any;

function readSpans(body: Json): ReceivedSpan[] {
  return list(body.resourceSpans).flatMap((group) =>
    scoped(group.scopeSpans, 'spans').map((span) => ({
      traceId: span.traceId,
      spanId: span.spanId,
      parentSpanId: span.parentSpanId || undefined,
      name: span.name,
      kind: SPAN_KINDS[span.kind as number] ?? 'internal',
      attributes: readAttributes(span.attributes),
      links: list(span.links).map(({ traceId, spanId }) => ({ traceId, spanId })),
      isError: span.status?.code === STATUS_ERROR,
      ...readService(group),
      start: BigInt(span.startTimeUnixNano),
      end: BigInt(span.endTimeUnixNano),
    })),
  );
}

function readLogs(body: Json): ReceivedLog[] {
  return list(body.resourceLogs).flatMap((group) =>
    scoped(group.scopeLogs, 'logRecords').map((record) => ({
      body: readValue(record.body),
      attributes: readAttributes(record.attributes),
      traceId: record.traceId || undefined,
      spanId: record.spanId || undefined,
      severity: record.severityText,
      severityNumber: record.severityNumber,
      ...readService(group),
    })),
  );
}

function readMetricNames(body: Json): string[] {
  return list(body.resourceMetrics).flatMap((group) =>
    scoped(group.scopeMetrics, 'metrics').map(({ name }) => name),
  );
}

function readCounts(bodies: Json[], name: string): number[][] {
  const points = bodies
    .flatMap((body) => list(body.resourceMetrics))
    .flatMap((group) => scoped(group.scopeMetrics, 'metrics'))
    .filter((metric) => metric.name === name)
    .flatMap(({ sum }) => list(sum?.dataPoints));
  const series = Map.groupBy(points, ({ attributes }) => JSON.stringify(readAttributes(attributes)));
  return [...series.values()].map((ofOne) => ofOne.map(({ asInt, asDouble }) => Number(asInt ?? asDouble)));
}

function readService(group: Json): { service: string; resource: Attributes } {
  const resource = readResource(group);
  return { service: String(resource['service.name']), resource };
}

function readResource(group: Json): Attributes {
  return readAttributes(group.resource?.attributes);
}

function scoped(scopes: Json, field: string): Json[] {
  return list(scopes).flatMap((scope) => list(scope[field]));
}

function readAttributes(attributes: Json): Attributes {
  return Object.fromEntries(list(attributes).map(({ key, value }) => [key, readValue(value)]));
}

/** An OTLP AnyValue as a plain one; 64-bit integers may come as strings. */
function readValue(value: Json): Value {
  if (value === undefined || value === null) return value;
  if ('intValue' in value) return Number(value.intValue);
  if ('arrayValue' in value) return list(value.arrayValue.values).map(readValue);
  if ('kvlistValue' in value) return readAttributes(value.kvlistValue.values);
  return value.stringValue ?? value.boolValue ?? value.doubleValue ?? value.bytesValue;
}

function list(value: Json): Json[] {
  return Array.isArray(value) ? value : [];
}
