/** `GET /api/search` as Tempo 3 answers it, for the queries of `bin/plain/search-traces.mjs` and no others. */
import { AppError } from '@waybill/common/errors.ts';
import type { FastifyInstance } from 'fastify';
import type { TraceStore } from './store.ts';
import { type SummarisedSpan, summarise, type TraceSummary } from './trace-summary.ts';

type Query = Partial<Record<'q' | 'limit' | 'start' | 'end', string>>;

/**
 * Adds the route. Of traces that hold for `q` and began from `start` to `end` (seconds since the epoch), it answers the
 * `limit` (default 20) that were heard of last, the latest first.
 */
export function addTempoSearchRoute(app: FastifyInstance, { store }: { store: TraceStore }): void {
  app.get<{ Querystring: Query }>('/api/search', async ({ query }) => {
    const holds = parseQuery(query.q);
    const limit = toNumber('limit', query.limit, 20);
    const startNs = 1_000_000_000n * BigInt(toNumber('start', query.start, 0));
    const endNs = 1_000_000_000n * BigInt(toNumber('end', query.end, 9_999_999_999));
    const traces = [];
    for (const traceId of store.newestFirst()) {
      if (traces.length === limit) break;
      const trace = summarise(traceId, store.read(traceId, 'spans'));
      if (trace && trace.startNs >= startNs && trace.startNs <= endNs && holds(trace))
        traces.push(toAnswer(trace));
    }
    return { traces, metrics: {} };
  });
}

function toNumber(name: string, text: string | undefined, otherwise: number): number {
  if (text === undefined) return otherwise;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new AppError('invalid-request', `${name} is not a whole number`);
}

const OF_EVENT =
  'span\\.cloudevents\\.event_type != nil(?: && span\\.cloudevents\\.event_id = ("(?:[^"\\\\]|\\\\.)*"))?';
const QUERY = new RegExp(
  `^\\{ ${OF_EVENT} \\}( && \\{ status = error \\})?(?: && \\{ trace:duration > (\\d{1,15}(?:\\.\\d+)?)ms \\})?(?: with \\(most_recent=true\\))?$`,
);

function parseQuery(q = ''): (trace: TraceSummary) => boolean {
  const match = QUERY.exec(q);
  if (!match) throw new AppError('invalid-request', 'this collector knows the queries of bin/trace.mjs only');
  const [, quotedId, mustFail, slowerThanMs] = match;
  const eventId = quotedId === undefined ? undefined : unquote(quotedId);
  return ({ spans, isFailed, durationMs }) =>
    spans.some(
      (span) => span.eventType !== undefined && (eventId === undefined || span.eventId === eventId),
    ) &&
    (mustFail === undefined || isFailed) &&
    (slowerThanMs === undefined || durationMs > Number(slowerThanMs));
}

function unquote(text: string): string {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('invalid-request', 'the id of the event is not well quoted', { cause });
  }
}

function toAnswer({ traceId, startNs, durationMs, spans }: TraceSummary) {
  const root = spans.find(({ isRoot }) => isRoot);
  const ofEvents = spans.filter(({ eventType }) => eventType !== undefined).map(toMatchedSpan);
  return {
    traceID: traceId.replace(/^0+/, ''),
    rootServiceName: root?.service ?? '<root span not yet received>',
    rootTraceName: root?.name,
    startTimeUnixNano: String(startNs),
    durationMs: Math.round(durationMs),
    spanSets: [{ spans: ofEvents, matched: ofEvents.length }],
    serviceStats: toServiceStats(spans),
  };
}

function toMatchedSpan({ spanId, startNs, endNs, eventType, eventId }: SummarisedSpan) {
  const attributes = { 'cloudevents.event_type': eventType, 'cloudevents.event_id': eventId };
  return {
    spanID: spanId,
    startTimeUnixNano: String(startNs),
    durationNanos: String(endNs - startNs),
    attributes: Object.entries(attributes).map(([key, stringValue]) => ({ key, value: { stringValue } })),
  };
}

function toServiceStats(spans: readonly SummarisedSpan[]) {
  const byService = Object.groupBy(spans, ({ service }) => service);
  const stats = Object.entries(byService).map(([service, own = []]) => [
    service,
    { spanCount: own.length, errorCount: own.filter(({ isFailed }) => isFailed).length },
  ]);
  return Object.fromEntries(stats);
}
