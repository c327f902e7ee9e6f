import { AppError } from '@waybill/common/errors.ts';
import type { FastifyInstance } from 'fastify';
import type { TraceStore } from './store.ts';
import type { LokiStream } from './to-loki-stream.ts';

/**
 * Adds `GET /loki/api/v1/query_range` for the lines of a trace, of one service or of any:
 * `{service_name="x"} | trace_id="<32 hex digits>"`, or with `service_name=~".+"`. Any other query is 400.
 *
 * `limit` (default 100), `direction` (default `backward`, the latest first), `start` and `end` are Loki's; without
 * `start` and `end` everything counts, not just the last hour.
 */
export function addLokiRoutes(app: FastifyInstance, { store }: { store: TraceStore }): void {
  app.get<{ Querystring: Query }>('/loki/api/v1/query_range', async ({ query }) => {
    const { service, traceId } = parseQuery(query.query);
    const { limit, isForward, startNs, endNs } = parseRange(query);
    const lines = (store.read(traceId, 'logs') as LokiStream[])
      .filter(({ stream }) => service === undefined || stream.service_name === service)
      .filter((line) => startNs <= timeOf(line) && timeOf(line) < endNs)
      .sort((a, b) => Number(isForward ? timeOf(a) - timeOf(b) : timeOf(b) - timeOf(a)));
    return { status: 'success', data: { resultType: 'streams', result: lines.slice(0, limit) } };
  });
}

type Query = Partial<Record<'query' | 'limit' | 'direction' | 'start' | 'end', string>>;

function timeOf({ values }: LokiStream): bigint {
  return BigInt(values[0]?.[0] ?? 0);
}

const QUERY =
  /^\s*\{\s*service_name\s*(?:=~\s*"\.\+"|=\s*("(?:[^"\\]|\\.)*"))\s*\}\s*\|\s*trace_id\s*=\s*"([0-9a-fA-F]{32})"\s*$/;

/** `service` is undefined if lines of any are asked for. */
function parseQuery(query = ''): { service: string | undefined; traceId: string } {
  const [, name, traceId] = QUERY.exec(query) ?? [];
  if (traceId === undefined) {
    const message =
      'only {service_name="x"} (or =~".+") | trace_id="<32 hex digits>" can be asked of this collector';
    throw new AppError('invalid-request', message);
  }
  return { service: name === undefined ? undefined : unquote(name), traceId: traceId.toLowerCase() };
}

function unquote(text: string): string {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new AppError('invalid-request', 'the name of the service is not well quoted', { cause });
  }
}

function parseRange({ limit = '100', direction = 'backward', start, end }: Query) {
  if (!/^[1-9]\d{0,5}$/.test(limit)) throw new AppError('invalid-request', 'limit is not a whole number');
  if (!/^(forward|backward)$/i.test(direction))
    throw new AppError('invalid-request', 'direction is neither forward nor backward');
  return {
    limit: Number(limit),
    isForward: direction.toLowerCase() === 'forward',
    startNs: start === undefined ? 0n : parseTime(start),
    endNs: end === undefined ? 2n ** 64n : parseTime(end),
  };
}

/** As Loki reads times: up to ten digits are seconds, more are nanoseconds, a fraction is of seconds; or RFC 3339. */
function parseTime(text: string): bigint {
  if (/^\d{1,10}$/.test(text)) return BigInt(text) * 1_000_000_000n;
  if (/^\d{11,20}$/.test(text)) return BigInt(text);
  const ms = /^\d{1,10}\.\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text);
  if (Number.isNaN(ms)) throw new AppError('invalid-request', 'start or end is not a time');
  return BigInt(Math.round(ms)) * 1_000_000n;
}
