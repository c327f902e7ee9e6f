/**
 * The one error class of the project, its closed list of codes, and the one function that turns anything unknown
 * into it. A code says what the client is told (HTTP status, RFC 9457 problem); its kind says what a tier does:
 * `retry` — the same thing may work later; `terminal` — it never will.
 */

const codes = {
  'invalid-request': { status: 400, kind: 'terminal', title: 'The request is malformed' },
  unauthorized: { status: 401, kind: 'terminal', title: 'The credentials are missing or wrong' },
  forbidden: { status: 403, kind: 'terminal', title: 'The credentials do not permit this' },
  'not-found': { status: 404, kind: 'terminal', title: 'There is nothing at this path' },
  'method-not-allowed': { status: 405, kind: 'terminal', title: 'The path does not take this method' },
  unroutable: { status: 404, kind: 'terminal', title: 'Events of this type are not taken' },
  'wrong-instance': { status: 410, kind: 'terminal', title: 'The reply is for another instance' },
  'too-large': { status: 413, kind: 'terminal', title: 'The request is too large' },
  'unsupported-media-type': { status: 415, kind: 'terminal', title: 'The content type is not supported' },
  misdirected: { status: 421, kind: 'terminal', title: 'This host is not served here' },
  'idempotency-key-reused': {
    status: 422,
    kind: 'terminal',
    title: 'The idempotency key was used for another request',
  },
  'rate-limited': { status: 429, kind: 'retry', title: 'Too many requests' },
  'client-gone': { status: 499, kind: 'terminal', title: 'The client has gone' },
  'handler-failed': { status: 502, kind: 'terminal', title: 'The listener failed to handle the event' },
  'unknown-reply-address': { status: 502, kind: 'terminal', title: 'The kind of reply address is unknown' },
  'not-accepted': { status: 503, kind: 'retry', title: 'The event was not accepted; it is safe to retry' },
  'outcome-unknown': {
    status: 504,
    kind: 'retry',
    title: 'The outcome is unknown; the event may have been handled',
  },
  'invalid-config': { status: 500, kind: 'terminal', title: 'The configuration is invalid' },
  'broker-unavailable': { status: 503, kind: 'retry', title: 'The broker cannot be reached' },
  'handler-timeout': { status: 502, kind: 'retry', title: 'The handler took too long' },
  'delivery-lost': { status: 502, kind: 'retry', title: 'The delivery was lost; another listener gets it' },
  'invalid-dataset': { status: 500, kind: 'terminal', title: 'The dataset cannot be read' },
  'dataset-unavailable': { status: 503, kind: 'retry', title: 'The dataset service does not answer' },
  'client-queue-busy': { status: 503, kind: 'retry', title: "The client's broker or queue is busy" },
  'client-queue-unavailable': {
    status: 503,
    kind: 'retry',
    title: "The client's broker or queue takes no messages",
  },
  unexpected: { status: 500, kind: 'retry', title: 'An unexpected error' },
} as const satisfies Record<string, { status: number; kind: 'retry' | 'terminal'; title: string }>;

/** Every code an {@link AppError} can carry. */
export type ErrorCode = keyof typeof codes;

/** Every error Waybill throws. */
export class AppError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'AppError';
    this.code = code;
  }

  /** The HTTP status a client gets for this code. */
  get status(): number {
    return codes[this.code].status;
  }

  /** Whether the same operation may succeed later. */
  get kind(): 'retry' | 'terminal' {
    return codes[this.code].kind;
  }
}

/** What is said of something thrown whose own words cannot be had: a getter of it throws, or a proxy. */
export const UNREADABLE = 'what was thrown cannot be read';

/**
 * Turns anything thrown into an {@link AppError}; what is not one already becomes `unexpected`, with its cause. Never
 * throws, whatever it is given.
 */
export function toAppError(thrown: unknown): AppError {
  try {
    if (thrown instanceof AppError) return thrown;
    const message = thrown instanceof Error ? String(thrown.message) : describe(thrown);
    return new AppError('unexpected', message, { cause: thrown });
  } catch {
    return new AppError('unexpected', UNREADABLE);
  }
}

/** `String()` itself throws for an object without `toString`. */
function describe(thrown: unknown): string {
  return typeof thrown === 'object' ? Object.prototype.toString.call(thrown) : String(thrown);
}

/**
 * An RFC 9457 problem. `type` is `urn:waybill:problem:<code>`, or in a listener's own (`handler-failed`) what it chose; `code`
 * repeats the code for clients that would rather not parse a URN. Extension members may follow.
 */
export type Problem = {
  type: string;
  title: string;
  status: number;
  detail?: string;
  code: string;
  [extension: string]: unknown;
};

const PROBLEM_URN = 'urn:waybill:problem:';

/** The problem a client is shown for `code`; `extensions` are added as members of their own. */
export function toProblem(code: ErrorCode, detail?: string, extensions?: Record<string, unknown>): Problem {
  const { status, title } = codes[code];
  return { type: `${PROBLEM_URN}${code}`, title, status, detail, code, ...extensions };
}

/** Whether it is a problem type, and none of Waybill's own, in any case of letters. */
export function isForeignProblemType(type: unknown): boolean {
  return typeof type === 'string' && !type.toLowerCase().startsWith(PROBLEM_URN);
}

/** The members of the problem that another tier answered with; none when its body is no JSON. */
export function parseProblem(body: string): Partial<Problem> {
  try {
    return (JSON.parse(body) as Partial<Problem> | null) ?? {};
  } catch {
    return {};
  }
}

const BODY_AT_FAULT = new Map<number, string>([
  [400, 'invalid-request'],
  [413, 'too-large'],
  [415, 'unsupported-media-type'],
]);

/** Whether another tier's own answer says that it cannot read the body, and so never will. */
export function isBodyAtFault(status: number, code: string | undefined): boolean {
  return code !== undefined && BODY_AT_FAULT.get(status) === code;
}

/** The error a problem of another tier stands for; a code this version does not know becomes `otherwise`. */
export function fromProblem(problem: Problem, otherwise: ErrorCode): AppError {
  const code = Object.hasOwn(codes, problem.code) ? (problem.code as ErrorCode) : otherwise;
  return new AppError(code, problem.detail ?? problem.title);
}
