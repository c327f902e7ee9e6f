/** The AMQP headers in which an event's history in one service travels with it. */
import type { Delivery } from '@waybill/common/broker/ports.ts';

/**
 * Attempts that have failed. Ours, because brokers count redeliveries differently. Not `waybill-attempts`:
 * that is a dead letter's, and counts its last attempt as well.
 */
const FAILED_ATTEMPTS_HEADER = 'waybill-failed-attempts';
/** The service that handed the event on, because it no longer takes its type. It goes round once at the most. */
export const HANDED_ON_BY_HEADER = 'waybill-handed-on-by';
/** Processes that died while they held the event, before it was isolated or last tried again. */
const CRASHES_HEADER = 'waybill-crashes';

/** How many attempts at this delivery's events have failed before. */
export function failedAttemptsOf({ headers }: Delivery): number {
  return toCount(headers[FAILED_ATTEMPTS_HEADER]);
}

/**
 * How many processes died while they held this delivery, or the ones its event came from.
 *
 * @param survived how many of the failed deliveries that the broker counts were no death.
 */
export function crashesOf(delivery: Delivery, survived: number): number {
  return earlierCrashesOf(delivery) + Math.max(0, delivery.deliveryCount - survived);
}

/** The part of {@link crashesOf} that the event brought along. */
export function earlierCrashesOf({ headers }: Delivery): number {
  return toCount(headers[CRASHES_HEADER]);
}

/** Whether another service has handed on the events of this delivery. */
export function isHandedOn({ headers }: Pick<Delivery, 'headers'>): boolean {
  return HANDED_ON_BY_HEADER in headers;
}

/** Headers of an event of `delivery` that is attempted again, isolated, or given back. */
export function historyHeaders(
  delivery: Pick<Delivery, 'headers'>,
  history: { failedAttempts: number; crashes: number },
): Record<string, string | number> {
  return {
    [FAILED_ATTEMPTS_HEADER]: history.failedAttempts,
    [CRASHES_HEADER]: history.crashes,
    ...(isHandedOn(delivery) && { [HANDED_ON_BY_HEADER]: String(delivery.headers[HANDED_ON_BY_HEADER]) }),
  };
}

function toCount(value: unknown): number {
  return typeof value === 'number' && value > 0 ? Math.floor(value) : 0;
}
