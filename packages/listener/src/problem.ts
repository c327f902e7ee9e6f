/** What a handler refuses an event with. */

import { isErrorCode } from '@waybill/common/errors.ts';
import { STATUS_CODES } from '@waybill/common/http/node-http.ts';

/** Statuses of what Waybill itself has to say (502, 503, 504), and of what clients send again by themselves. */
const RESERVED_STATUSES: readonly number[] = [408, 421, 425, 502, 503, 504];
const CODE = /^[a-z0-9][a-z0-9._-]{0,63}$/;

export type ProblemOptions = {
  /** What is the matter with this very event, for the client's eyes. */
  detail?: string;
  /** What the problem is, in general (default: the name of the status). */
  title?: string;
  /** A URI that names it (default `about:blank`); none of `urn:waybill:problem:`. */
  type?: string;
  /** Further members, which JSON carries. */
  [extension: string]: unknown;
};

/**
 * Answers the client of the event with just this (RFC 9457), when a handler throws or returns it: the event is done, without
 * a retry and without a dead letter. For what the client has to know and no operator: a wrong state, a missing thing, a
 * limit that is reached. Where nobody waits for an answer nobody would learn of it: there it is dead-lettered, as a
 * {@link import('./handler.ts').TerminalError} is.
 *
 * @example
 * if (order.isShipped) throw new Problem(409, 'already-shipped', { detail: `order ${order.id} is on its way` });
 */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly options: ProblemOptions;

  /**
   * @param status of HTTP, from 400 to 599, and none that only Waybill says (502, 503, 504) or that has clients send
   *   again by themselves (408, 421, 425).
   * @param code names it for programs: lower-case letters, digits and `. _ -`; none of Waybill's own.
   * @throws RangeError for another status or code.
   */
  constructor(status: number, code: string, options: ProblemOptions = {}) {
    super(options.detail ?? options.title ?? code);
    this.name = 'Problem';
    if (!Number.isInteger(status) || status < 400 || status > 599 || RESERVED_STATUSES.includes(status))
      throw new RangeError(`a problem has no status ${status}`);
    if (!CODE.test(code) || isErrorCode(code)) throw new RangeError(`a problem has no code ${code}`);
    this.status = status;
    this.code = code;
    this.options = options;
  }

  /** The members of the problem. */
  toJSON(): { type: string; title: string; status: number; code: string; [member: string]: unknown } {
    const { status, code } = this;
    const { type = 'about:blank', title = STATUS_CODES[status] ?? 'Error', ...members } = this.options;
    return { ...members, type, title, status, code };
  }
}
