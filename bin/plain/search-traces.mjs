/**
 * Finds traces of events in Tempo, or in the development collector, which understands these queries and no others.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { getJson } from './get-json.mjs';

const POLL_INTERVAL_MS = 250;

/**
 * @typedef {object} Filters
 * @property {string} [eventId] the id of an event in it
 * @property {number} [slowerThanMs] from its first span to the end of its last
 * @property {boolean} [isFailed] whether a span of it failed, be it an attempt that a later one made good
 * @property {number} sinceMs its time of start, since the epoch
 */

/**
 * @typedef {object} FoundTrace
 * @property {string} traceId
 * @property {number} startMs since the epoch
 * @property {number} durationMs
 * @property {string} name of its first span, with its service; '' if that has not come yet
 * @property {string} eventType of one of its events; '' if it is not told
 * @property {boolean} isFailed
 */

/**
 * The last `limit` traces that pass all the filters, the latest first. Without one it looks again until `waitMs` have passed.
 *
 * @param {{ tempoUrl: string, filters: Filters, limit: number, waitMs: number }} options
 * @returns {Promise<FoundTrace[]>}
 * @throws {import('./user-error.mjs').UserError} if Tempo cannot be reached or answers anything else
 */
export async function searchTraces({ tempoUrl, filters, limit, waitMs }) {
  const until = Date.now() + waitMs;
  for (;;) {
    const query = new URLSearchParams({
      q: toQuery(filters),
      limit: String(limit),
      start: String(Math.floor(filters.sinceMs / 1000)),
      // Clocks differ.
      end: String(Math.ceil(Date.now() / 1000) + 60),
    });
    const { traces = [] } = await getJson('Tempo', `${tempoUrl}/api/search?${query}`);
    /** @type {FoundTrace[]} */
    const all = traces.map(toFoundTrace);
    const found = all.filter(({ startMs }) => startMs >= filters.sinceMs);
    if (found.length > 0 || Date.now() >= until) return found.sort((a, b) => b.startMs - a.startMs);
    await delay(POLL_INTERVAL_MS);
  }
}

/**
 * In TraceQL; each pair of braces may be about another span of the trace. Without the hint Tempo answers with any that match.
 *
 * @param {Filters} filters
 */
function toQuery({ eventId, slowerThanMs, isFailed }) {
  const ofEvent = eventId === undefined ? [] : [`span.cloudevents.event_id = ${JSON.stringify(eventId)}`];
  return [
    `{ ${['span.cloudevents.event_type != nil', ...ofEvent].join(' && ')} }`,
    ...(isFailed ? ['{ status = error }'] : []),
    ...(slowerThanMs === undefined ? [] : [`{ trace:duration > ${slowerThanMs}ms }`]),
  ]
    .join(' && ')
    .concat(' with (most_recent=true)');
}

/**
 * @param {any} trace
 * @returns {FoundTrace}
 */
function toFoundTrace(trace) {
  const { traceID, rootServiceName = '', rootTraceName = '', serviceStats = {} } = trace;
  const spans = [trace.spanSet, ...(trace.spanSets ?? [])].flatMap((set) => set?.spans ?? []);
  const attributes = spans.flatMap((span) => span.attributes ?? []);
  return {
    traceId: String(traceID).padStart(32, '0'),
    startMs: Number(BigInt(trace.startTimeUnixNano ?? 0) / 1_000_000n),
    durationMs: trace.durationMs ?? 0,
    name: `${rootServiceName} ${rootTraceName}`.trim(),
    eventType: attributes.find(({ key }) => key === 'cloudevents.event_type')?.value?.stringValue ?? '',
    isFailed: Object.values(serviceStats).some(({ errorCount = 0 }) => errorCount > 0),
  };
}
