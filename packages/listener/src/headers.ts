/** The AMQP headers in which an event's history in one service travels with it. */
import type { Delivery } from '@waybill/common/broker/ports.ts';

/** Attempts that have failed. Ours, because brokers count redeliveries differently (faults.md). */
const ATTEMPTS_HEADER = 'waybill-attempts';
/** Crashes before the event was isolated. */
const CRASHES_HEADER = 'waybill-crashes';

/** How many attempts at this delivery's events have failed before. */
export function attemptsOf({ headers }: Delivery): number {
  return toCount(headers[ATTEMPTS_HEADER]);
}

/** How many processes died while they held this delivery, or the one its event was isolated from. */
export function crashesOf({ headers, deliveryCount }: Delivery): number {
  return toCount(headers[CRASHES_HEADER]) + deliveryCount;
}

/** Headers of an event to be attempted again. */
export function attemptHeaders(failedAttempts: number): Record<string, number> {
  return { [ATTEMPTS_HEADER]: failedAttempts };
}

/** Headers of an event that is isolated. */
export function crashHeaders(crashes: number, failedAttempts: number): Record<string, number> {
  return { [CRASHES_HEADER]: crashes, [ATTEMPTS_HEADER]: failedAttempts };
}

function toCount(value: unknown): number {
  return typeof value === 'number' && value > 0 ? Math.floor(value) : 0;
}
