/** Problems (RFC 9457): how an error is told to a client, or by one tier to another. */
import { AppError, type ErrorCode, errorCodes, isErrorCode } from './errors.ts';

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

/** The problem a client is shown for `error`: with its extensions, and with `extensions`, as members of their own. */
export function toProblem(error: AppError, extensions?: Record<string, unknown>): Problem {
  return problemFor(error.code, error.message, { ...error.extensions, ...extensions });
}

/** The problem of a code alone, where no error was thrown. */
export function problemFor(code: ErrorCode, detail?: string, extensions?: Record<string, unknown>): Problem {
  const { status, title } = errorCodes[code];
  return { type: `${PROBLEM_URN}${code}`, title, status, detail, code, ...extensions };
}

/** Whether `problem` is of `code`, by its type. */
export function isProblemOf(code: ErrorCode, { type }: Partial<Problem>): boolean {
  return type === `${PROBLEM_URN}${code}`;
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

/**
 * The error a problem of another tier stands for; a code this version does not know becomes `otherwise`. Its extensions
 * were for the caller, who is not the client.
 */
export function fromProblem(problem: Problem, otherwise: ErrorCode): AppError {
  const code = isErrorCode(problem.code) ? problem.code : otherwise;
  return new AppError(code, problem.detail ?? problem.title);
}
