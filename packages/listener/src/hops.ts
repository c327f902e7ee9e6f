/**
 * How many further events led to one another: the extension attribute `hops`, which every further event carries. Handlers
 * that answer each other's events would otherwise keep a system busy for ever, with nobody left who waits.
 */
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { type FurtherEvent, TerminalError } from './handler.ts';
import type { Work } from './step.ts';

/** An event behind more hops than this is dead-lettered, and no handler sees it. */
export const MAX_HOPS = 32;

/** The hops of an event that a handler makes from `event`. One that goes on with the same work is none. */
export function hopsAfter(
  event: CloudEvent,
  { isContinuation }: Pick<FurtherEvent, 'isContinuation'>,
): number {
  return hopsOf(event) + (isContinuation ? 0 : 1);
}

/** Fails an event behind too many hops with {@link TooManyHopsError}. */
export function withHopLimit<T>(next: Work<T>): Work<T> {
  return (event, context) => {
    if (hopsOf(event) > MAX_HOPS) throw new TooManyHopsError(event);
    return next(event, context);
  };
}

/** No further attempt would change where an event came from. */
export class TooManyHopsError extends TerminalError {
  constructor({ type, hops }: CloudEvent) {
    super(
      'too-many-hops',
      `${type} is ${hops} further events away from what was sent, more than ${MAX_HOPS}`,
    );
    this.name = 'TooManyHopsError';
  }
}

function hopsOf({ hops = 0 }: CloudEvent): number {
  return hops;
}
