/** What Waybill answers instead of a reply (RFC 9457); docs/listeners.md and the API's description say which codes there are. */
export type Problem = {
  type: string;
  title: string;
  status: number;
  code: string;
  detail?: string;
  [extension: string]: unknown;
};

/**
 * Why a request has no reply. `cause` is what a request failed by that got no answer at all; or the last {@link Problem} of one
 * that may have run before it was told that.
 */
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

  /** Whether it provably has not run, however often it was sent; otherwise it may have. */
  get hasNotRun(): boolean {
    return provesNotRun(this.problem);
  }
}

/** A problem that this client finds by itself. */
export function problemOf(code: string, status: number, detail: string): Problem {
  return { type: `urn:waybill:problem:${code}`, title: detail, status, code, detail };
}

/** Whether a call that was answered with this has not run; it says nothing of the calls before. */
export function provesNotRun({ code }: Problem): boolean {
  return NOT_RUN.includes(code);
}

/** Codes of Waybill's own, which no handler can answer with. */
const NOT_RUN = [
  'not-accepted',
  'rate-limited',
  'mailbox-full',
  'keys-full',
  'unroutable',
  'invalid-request',
  'invalid-data',
  'unauthorized',
  'forbidden',
  'too-large',
];
