/**
 * Delays of any length, by the few queues of a service whose messages expire back into its work queue: a message goes through
 * one after the other, the longest first, and says in a header how long it has to wait after the present one. No clock is read,
 * so that none has to agree with another; what a message waits between two of the queues, behind others, comes on top.
 */
import type { Delivery } from '@waybill/common/broker/ports.ts';
import { WAIT_DELAYS_MS, type WaitDelayMs } from '@waybill/common/broker/topology.ts';
import { TerminalError } from './handler.ts';

/** A day. */
export const MAX_DELAY_MS = 24 * 60 * 60_000;
/** How long a message has to wait after the queue that it is in. */
export const WAIT_LEFT_HEADER = 'waybill-wait-left';
/** A delay is rounded up by so much of it at the most, or by the shortest queue: a day and no more than 35 queues. */
const MAX_ROUNDING = 1 / 50;

export type Wait = { delayMs: WaitDelayMs; headers: Record<string, number> };

/**
 * The first queue of a delay.
 *
 * @throws TerminalError for one that is no whole number of milliseconds from 1 to a day.
 */
export function waitFor(delayMs: number): Wait {
  if (!Number.isInteger(delayMs) || delayMs < 1 || delayMs > MAX_DELAY_MS)
    throw new TerminalError('invalid-event', `delayMs must be a whole number from 1 to ${MAX_DELAY_MS}`);
  // Each of the delays divides the next one.
  const unitMs = longestWithin(delayMs * MAX_ROUNDING);
  return next(Math.ceil(delayMs / unitMs) * unitMs);
}

/** The next queue of a delivery that has not waited for long enough; undefined for any other. */
export function waitOn({ headers }: Pick<Delivery, 'headers'>): Wait | undefined {
  const leftMs = Number(headers[WAIT_LEFT_HEADER]);
  return leftMs > 0 ? next(leftMs) : undefined;
}

function next(waitMs: number): Wait {
  const delayMs = longestWithin(waitMs);
  const leftMs = waitMs - delayMs;
  return { delayMs, headers: leftMs > 0 ? { [WAIT_LEFT_HEADER]: leftMs } : {} };
}

function longestWithin(ms: number): WaitDelayMs {
  return WAIT_DELAYS_MS.findLast((delayMs) => delayMs <= ms) ?? WAIT_DELAYS_MS[0];
}
