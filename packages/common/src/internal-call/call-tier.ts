/**
 * The one call between tiers: public-web to a dispatcher's `/events`, a dispatcher to public-web's `/dispatch`, both to a
 * store's `/append` and `/calls`.
 */
import { BATCH_CONTENT_TYPE } from '../event/event-json.ts';
import { type Problem, parseProblem } from '../problem.ts';
import type { ClockCheck } from './clock-check.ts';
import { signRequest } from './http-signature.ts';
import type { Key } from './internal-keys.ts';
import { type BoundedPost, postBounded } from './post-bounded.ts';

/** What a large batch may take beyond a small one: 1 s for each 128 KiB, so that being large is no failure. */
const MIN_BYTES_PER_MS = 128;

/**
 * - `answered`: 200, by a tier of ours.
 * - `refused`: any other status; `problem` is empty when the answer was not written by a tier of ours.
 * - `failed`: no answer that can be understood; `isWritten` says whether the tier may have the batch all the same.
 */
export type TierAnswer<Answer> =
  | { kind: 'answered'; answer: Answer }
  | { kind: 'refused'; status: number; problem: Partial<Problem> }
  | { kind: 'failed'; error: Error; isWritten: boolean };

export type TierCall<Answer> = Pick<BoundedPost, 'connections' | 'origin' | 'path'> & {
  /** An encoded batch, or whatever `contentType` says. */
  body: Buffer;
  /** Default: a batch of events. */
  contentType?: string;
  /** For a small batch; a large one has more. */
  timeoutMs: number;
  /** Reads the body of a 200; throws when it is not that of the tier that was called. */
  parse(body: string): Answer;
};

/** Posts one signed batch. Never rejects. */
export type CallTier = <Answer>(call: TierCall<Answer>) => Promise<TierAnswer<Answer>>;

/** Creates {@link CallTier}, which signs with the first of `keys` and tells `clock` what answers say of it. */
export function createCallTier({ keys, clock }: { keys: Key[]; clock: ClockCheck }): CallTier {
  return async ({ parse, timeoutMs, contentType = BATCH_CONTENT_TYPE, ...call }) => {
    const { path, body } = call;
    const headers = {
      'content-type': contentType,
      ...signRequest({ method: 'POST', path, body, keys }),
    };
    const limitMs = timeoutMs + Math.ceil(body.length / MIN_BYTES_PER_MS);
    const result = await postBounded({ ...call, headers, timeoutMs: limitMs });
    if (result.kind === 'failed') return result;
    if (result.status === 200) return understand(result.body, parse, clock);
    const problem = parseProblem(result.body);
    if (result.status === 401) noteDifference(problem, clock);
    return { kind: 'refused', status: result.status, problem };
  };
}

function understand<Answer>(
  body: string,
  parse: (body: string) => Answer,
  clock: ClockCheck,
): TierAnswer<Answer> {
  try {
    const answer = parse(body);
    clock.agrees();
    return { kind: 'answered', answer };
  } catch (error) {
    return { kind: 'failed', error: error as Error, isWritten: true };
  }
}

/** The callee says by how much our clock is ahead of its own. */
function noteDifference({ clock_skew_ms }: Partial<Problem>, clock: ClockCheck): void {
  if (typeof clock_skew_ms === 'number') clock.differs(-clock_skew_ms);
}
