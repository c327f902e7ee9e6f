/**
 * The one error class of the project, its closed list of codes, and the one function that turns anything unknown
 * into it. A code says what the client is told (HTTP status, `problem.ts`); its kind says what a tier does:
 * `retry` — the same thing may work later; `terminal` — it never will.
 */

/** What each code stands for; `title` is that of its problem. */
export const errorCodes = {
  'invalid-request': { status: 400, kind: 'terminal', title: 'The request is malformed' },
  unauthorized: { status: 401, kind: 'terminal', title: 'The credentials are missing or wrong' },
  forbidden: { status: 403, kind: 'terminal', title: 'The credentials do not permit this' },
  'not-found': { status: 404, kind: 'terminal', title: 'There is nothing at this path' },
  gone: { status: 410, kind: 'terminal', title: 'The answer is not kept any more' },
  'no-store': { status: 501, kind: 'terminal', title: 'This needs a store, and there is none' },
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
  'invalid-data': { status: 422, kind: 'terminal', title: 'The data is not as the schema of its type says' },
  'rate-limited': { status: 429, kind: 'retry', title: 'Too many requests' },
  'mailbox-full': { status: 429, kind: 'retry', title: 'The mailbox of the client is full' },
  'keys-full': { status: 429, kind: 'retry', title: 'Too much is kept for idempotency keys' },
  'client-gone': { status: 499, kind: 'terminal', title: 'The client has gone' },
  'handler-failed': { status: 502, kind: 'terminal', title: 'The listener failed to handle the event' },
  'forged-reply-address': {
    status: 401,
    kind: 'terminal',
    title: 'The reply address is none that this system signed',
  },
  'expired-reply-address': { status: 401, kind: 'terminal', title: 'The reply address has expired' },
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
export type ErrorCode = keyof typeof errorCodes;

/** Whether it is one of them. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errorCodes, code);
}

export type AppErrorOptions = {
  /** What led to it, for the log: nothing reads data from it. */
  cause?: unknown;
  /** Further members of the problem that a client gets. */
  extensions?: Record<string, unknown>;
  /** After how many milliseconds the same may work, where that is known. */
  retryAfterMs?: number;
};

/** Every error Waybill throws. */
export class AppError extends Error {
  readonly code: ErrorCode;
  readonly extensions: Readonly<Record<string, unknown>> | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    { extensions, retryAfterMs, ...options }: AppErrorOptions = {},
  ) {
    super(message, options);
    this.name = 'AppError';
    this.code = code;
    this.extensions = extensions;
    this.retryAfterMs = retryAfterMs;
  }

  /** The HTTP status a client gets for this code. */
  get status(): number {
    return errorCodes[this.code].status;
  }

  /** Whether the same operation may succeed later. */
  get kind(): 'retry' | 'terminal' {
    return errorCodes[this.code].kind;
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
