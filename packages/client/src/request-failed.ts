/** What Waybill answers instead of a reply (RFC 9457); docs/listeners.md and the API's description say which codes there are. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  code: string;
  detail?: string;
  [extension: string]: unknown;
};

/** Why a request has no reply. `cause` is what a request failed by that got no answer at all. */
export class RequestFailed extends Error {
  readonly problem: Problem;
  /** The id of the event: sent again under it, with `options.id`, a listener that keeps a result once per event gives the same. */
  readonly eventId: string;

  constructor(problem: Problem, eventId: string, cause?: unknown) {
    super(`${problem.code}: ${problem.detail ?? problem.title}`, { cause });
    this.name = 'RequestFailed';
    this.problem = problem;
    this.eventId = eventId;
  }

  /** Whether it provably has not run; otherwise it may have. */
  get hasNotRun(): boolean {
    return NOT_RUN.includes(this.problem.code);
  }
}

/** Codes of Waybill's own, which no handler can answer with. */
const NOT_RUN = [
  'not-accepted',
  'rate-limited',
  'unroutable',
  'invalid-request',
  'invalid-data',
  'unauthorized',
  'forbidden',
  'too-large',
];
