/** One call of a request: its event is sent, or its answer looked for where it is kept. */
import { type Problem, problemOf } from './request-failed.ts';

/** What is the same in every attempt at a request. */
export type Sent = {
  origin: string;
  headers: Record<string, string>;
  /** The event, as JSON. */
  body: string;
  /** The `Idempotency-Key`. */
  key: string;
};

/**
 * How an attempt went.
 * - `not-taken`: nothing ran, and the same may work later.
 * - `broken`: nobody knows; the same key finds out.
 * - `later`: the answer is still to come, and will be at `location`.
 * - `failed`: it has a problem that stays.
 */
export type Attempt =
  | { kind: 'reply'; reply: object }
  | ({ kind: 'not-taken' | 'broken' | 'failed' } & Failure)
  | ({ kind: 'later'; location: string } & Failure);

type Failure = { problem: Problem; retryAfterMs?: number | undefined; cause?: unknown };

/** How much longer than it asked the server to wait a client waits for it. */
const GRACE_MS = 2_000;
/** Between two looks for an answer, each of which waits as long as the server lets it. */
const LOOK_AGAIN_MS = 200;
const NOT_TAKEN = [503, 429];

/**
 * Sends the event, or asks at `location`, and waits for `leftMs` at most.
 *
 * @throws the reason of `signal`
 */
export async function attemptOf(
  { origin, headers, body, key }: Sent,
  {
    location,
    leftMs,
    signal,
  }: { location: string | undefined; leftMs: number; signal: AbortSignal | undefined },
): Promise<Attempt> {
  const prefer = `wait=${Math.max(1, Math.floor(leftMs / 1000))}`;
  const timeout = AbortSignal.timeout(Math.max(1, Math.ceil(leftMs)) + GRACE_MS);
  const init = { signal: signal ? AbortSignal.any([signal, timeout]) : timeout };
  try {
    const response = await (location === undefined
      ? fetch(`${origin}/events`, {
          ...init,
          method: 'POST',
          headers: {
            ...headers,
            'content-type': 'application/cloudevents+json',
            'idempotency-key': `"${key}"`,
            prefer,
          },
          body,
        })
      : fetch(`${origin}${location}`, { ...init, headers: { ...headers, prefer } }));
    return toAttempt(response, await response.text());
  } catch (cause) {
    signal?.throwIfAborted();
    const problem = problemOf('outcome-unknown', 504, 'the connection broke before there was an answer');
    return { kind: 'broken', problem, cause };
  }
}

function toAttempt({ status, headers }: Response, body: string): Attempt {
  if (status === 204) return { kind: 'reply', reply: { id: '', type: 'waybill.NoContent', data: undefined } };
  const answer = parse(body);
  if (status === 200 && answer) return { kind: 'reply', reply: answer };
  const retryAfterMs = toMs(headers.get('retry-after'));
  const location = headers.get('location') ?? undefined;
  if (location !== undefined && (status === 202 || status === 504)) {
    const problem = problemOf('outcome-unknown', 504, `there is no reply yet; it will be at ${location}`);
    return {
      kind: 'later',
      location,
      problem: { ...problem, location },
      retryAfterMs: status === 504 ? 0 : LOOK_AGAIN_MS,
    };
  }
  const problem = isProblem(answer) ? answer : problemOf('unexpected', status, `HTTP ${status}`);
  return { kind: NOT_TAKEN.includes(status) ? 'not-taken' : 'failed', problem, retryAfterMs };
}

/** The object in a body, if it is one. */
export function parse(body: string): object | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}

export function isProblem(answer: object | undefined): answer is Problem {
  const { code, status } = (answer ?? {}) as Partial<Problem>;
  return typeof code === 'string' && typeof status === 'number';
}

/** Of `Retry-After` in seconds. */
export function toMs(seconds: string | null): number | undefined {
  return seconds !== null && /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : undefined;
}
