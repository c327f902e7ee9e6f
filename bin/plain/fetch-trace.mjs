/** Reads a trace from Tempo and its log lines from Loki, or from the development collector, which answers as both. */
import { setTimeout as delay } from 'node:timers/promises';
import { getJson } from './get-json.mjs';

/** @typedef {import('./user-error.mjs').UserError} UserError */

const POLL_INTERVAL_MS = 250;
/** A trace that grew before our eyes is drawn once it has stopped for this long. */
const QUIET_MS = 2_000;
/** What a Loki allows by default. */
const MAX_LOG_LINES = 5_000;

/**
 * @typedef {object} Span
 * @property {string} spanId hex
 * @property {string} parentSpanId hex; '' for the first one
 * @property {string} service
 * @property {string} name
 * @property {bigint} startNs since the epoch
 * @property {bigint} endNs
 * @property {string | undefined} error what its status says, possibly ''; undefined if it is no error
 */

/**
 * @typedef {object} LogLine
 * @property {string} spanId hex; '' if it belongs to no span
 * @property {string} service
 * @property {string} severity
 * @property {string} text
 * @property {bigint} timeNs
 */

/**
 * The spans of a trace; none if it is unknown. Waits for what is still on its way: until `waitMs` have passed since
 * the end of the last span and it has stopped growing, yet at most three times `waitMs`.
 *
 * @param {{ tempoUrl: string, traceId: string, waitMs: number }} options
 * @returns {Promise<Span[]>}
 * @throws {UserError} if Tempo cannot be reached or answers anything else
 */
export async function fetchTrace({ tempoUrl, traceId, waitMs }) {
  const startedAt = Date.now();
  const quietMs = Math.min(QUIET_MS, waitMs);
  let count = -1;
  let grewAt = 0;
  for (;;) {
    const body = await getJson('Tempo', `${tempoUrl}/api/v2/traces/${traceId}`);
    const spans = readSpans(body.trace);
    const now = Date.now();
    // What was there at the first look did not grow before our eyes.
    if (count !== -1 && spans.length > count) grewAt = now;
    count = spans.length;
    const oldAt = (count === 0 ? startedAt : lastEndMs(spans)) + waitMs;
    if ((now >= oldAt && now >= grewAt + quietMs) || now >= startedAt + 3 * waitMs) return spans;
    await delay(POLL_INTERVAL_MS);
  }
}

/**
 * The log lines of a trace, by time; also of services that have no span in it.
 *
 * @param {{ lokiUrl: string, traceId: string, spans: Span[] }} options
 * @returns {Promise<LogLine[]>}
 * @throws {UserError} if Loki cannot be reached or answers anything else
 */
export async function fetchLogs({ lokiUrl, traceId, spans }) {
  const times = spans.flatMap(({ startNs, endNs }) => [startNs, endNs]).sort((a, b) => Number(a - b));
  const query = new URLSearchParams({
    query: `{service_name=~".+"} | trace_id="${traceId}"`,
    // Without them Loki looks at the last hour.
    start: String((times[0] ?? 0n) - MARGIN_NS),
    end: String((times.at(-1) ?? 0n) + MARGIN_NS),
    limit: String(MAX_LOG_LINES),
    direction: 'forward',
  });
  const answer = await getJson('Loki', `${lokiUrl}/loki/api/v1/query_range?${query}`);
  return readLogs(answer).sort((a, b) => Number(a.timeNs - b.timeNs));
}

/** Clocks differ, and a line may come after its span. */
const MARGIN_NS = 60_000_000_000n;

/** @param {Span[]} spans */
function lastEndMs(spans) {
  return spans.reduce((last, { endNs }) => Math.max(last, Number(endNs / 1_000_000n)), 0);
}

/**
 * @param {any} trace
 * @returns {Span[]}
 */
function readSpans(trace) {
  /** @type {Map<string, Span>} Tempo may hold a span twice, if it was exported twice. */
  const spans = new Map();
  for (const { resource, scopeSpans } of trace?.resourceSpans ?? []) {
    const service = serviceOf(resource);
    for (const span of (scopeSpans ?? []).flatMap((/** @type {any} */ scoped) => scoped.spans ?? [])) {
      const spanId = toHex(span.spanId);
      const startNs = BigInt(span.startTimeUnixNano ?? 0);
      const endNs = BigInt(span.endTimeUnixNano ?? startNs);
      const error = span.status?.code === 'STATUS_CODE_ERROR' ? (span.status.message ?? '') : undefined;
      const parentSpanId = toHex(span.parentSpanId);
      spans.set(spanId, { spanId, parentSpanId, service, name: span.name ?? '', startNs, endNs, error });
    }
  }
  return [...spans.values()];
}

/**
 * Its name, after that of the group or site it belongs to, if it says so.
 * @param {any} resource
 */
function serviceOf(resource) {
  const name = attribute(resource, 'service.name') ?? 'unknown';
  const namespace = attribute(resource, 'service.namespace');
  return namespace ? `${namespace}/${name}` : name;
}

/**
 * @param {any} resource
 * @param {string} name
 * @returns {string | undefined}
 */
function attribute(resource, name) {
  return resource?.attributes?.find((/** @type {any} */ { key }) => key === name)?.value?.stringValue;
}

/** @param {string | undefined} base64 */
function toHex(base64 = '') {
  return Buffer.from(base64, 'base64').toString('hex');
}

/**
 * @param {any} body
 * @returns {LogLine[]}
 */
function readLogs(body) {
  return (body.data?.result ?? []).flatMap((/** @type {any} */ { stream, values }) =>
    values.map((/** @type {[string, string]} */ [timeNs, text]) => ({
      spanId: stream.span_id ?? '',
      service: [stream.service_namespace, stream.service_name ?? 'unknown'].filter(Boolean).join('/'),
      severity: stream.severity_text || stream.detected_level || '',
      text,
      timeNs: BigInt(timeNs),
    })),
  );
}
