/** The promises of `docs/idempotency.md` that a run with a store is held against, beside those of `check.ts`. */
import type { RunResult } from './check.ts';
import type { KeyedRequest } from './keyed-load.ts';

type KeyedRun = Pick<RunResult, 'keyed' | 'evidence' | 'recoveredMs'>;

/** The requests with keys that break each promise, in words. */
export function keyPromises(run: KeyedRun): Record<string, string[]> {
  const { keyed = [], evidence } = run;
  const breaking = (isBroken: (request: KeyedRequest) => boolean) =>
    keyed.filter(isBroken).map((request) => show(request, run));
  const effectsOf = ({ number }: KeyedRequest) => evidence.idsOf.get(number)?.size ?? 0;
  return {
    'a key has one effect': breaking((request) => effectsOf(request) > 1),
    'what is answered under a key has run': breaking((request) =>
      [...answersOf(request)].some((id) => !evidence.idsOf.get(request.number)?.has(id)),
    ),
    'a key that is refused at every try has no effect': breaking(
      (request) => request.tries.every(({ outcome }) => outcome === 'refused') && effectsOf(request) > 0,
    ),
    'only documented answers to requests with keys': breaking(({ tries }) =>
      tries.some(({ outcome }) => outcome === 'wrong'),
    ),
    'every new key after the recovery leads to an answer': breaking((request) =>
      isUnanswered(request, run.recoveredMs),
    ),
  };
}

/** The figures of its requests with keys in a run's row, if it had any. */
export function summarizeKeys({ keyed = [], evidence }: KeyedRun) {
  if (keyed.length === 0) return {};
  const count = (isCounted: (request: KeyedRequest) => boolean) => keyed.filter(isCounted).length;
  return {
    keys: keyed.length,
    'sent again': count(({ tries }) => tries.length > 1),
    'keys answered': count((request) => answersOf(request).size > 0),
    'two effects': count(({ number }) => (evidence.idsOf.get(number)?.size ?? 0) > 1),
  };
}

function answersOf({ tries }: KeyedRequest): Set<string> {
  return new Set(tries.flatMap(({ outcome, eventId }) => (outcome === 'answered' ? [String(eventId)] : [])));
}

function isUnanswered(request: KeyedRequest, recoveredMs = Number.POSITIVE_INFINITY): boolean {
  const [first] = request.tries;
  return first !== undefined && first.startMs >= recoveredMs && answersOf(request).size === 0;
}

function show({ key, number, tries }: KeyedRequest, { evidence }: KeyedRun): string {
  const made = tries.map(({ publicWeb, startMs, waitMs, status, code, detail, eventId }) => {
    const when = new Date(startMs).toISOString().slice(11, 23);
    return `${when} public-web-${publicWeb} ${status} ${code} ${eventId ?? ''} after ${Math.round(waitMs)} ms (${detail})`;
  });
  const ran = [...(evidence.idsOf.get(number) ?? [])].join(' and ') || 'nothing';
  return `${key} (${number}): ${ran} ran; ${made.join('; ')}`;
}
