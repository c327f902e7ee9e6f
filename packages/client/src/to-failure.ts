import { type Problem, problemOf, provesNotRun, RequestFailed } from './request-failed.ts';

/**
 * What the request `id` failed by, whose last attempt was `attempt`. Where one before may have run, a refusal of the last says
 * nothing of that one: the outcome is unknown, and the answer will be at `location`, if there is one.
 */
export function toFailure(
  { problem, cause }: { problem: Problem; cause?: unknown },
  { id, location, mayHaveRun }: { id: string; location?: string | undefined; mayHaveRun: boolean },
): RequestFailed {
  if (!mayHaveRun) return new RequestFailed(problem, id, cause);
  if (!provesNotRun(problem)) return new RequestFailed(withPlace(problem, location), id, cause);
  const detail = `it may have run, and was then answered ${problem.status} ${problem.code}`;
  return new RequestFailed(withPlace(problemOf('outcome-unknown', 504, detail), location), id, problem);
}

/** Of a problem that is no answer of a listener, where that will be. */
function withPlace(problem: Problem, location: string | undefined): Problem {
  const isOpen = problem.code === 'outcome-unknown' || problem.code === 'unexpected';
  return isOpen && location !== undefined ? { ...problem, location } : problem;
}
