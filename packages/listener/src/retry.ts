import type { Delivery, Publisher } from '@waybill/common/broker/ports.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import { RETRY_DELAYS_MS, type RetryDelayMs } from '@waybill/common/broker/topology.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { retries } from '@waybill/common/telemetry/metrics.ts';
import { historyHeaders } from './headers.ts';

/** How long an event waits after `failedAttempts` (1 or more) failed ones; the last delay repeats. */
export function retryDelayMs(failedAttempts: number): RetryDelayMs {
  return RETRY_DELAYS_MS[Math.min(failedAttempts, RETRY_DELAYS_MS.length) - 1] ?? RETRY_DELAYS_MS[0];
}

/**
 * Sets one event aside, alone, in the service's retry queue, from which it expires back into the work queue. The
 * caller acks afterwards.
 *
 * @throws AppError `broker-unavailable` when the delivery is lost before the broker confirms.
 */
export async function retryLater({
  publisher,
  service,
  event,
  delivery,
  crashes,
  failedAttempts,
}: {
  publisher: Publisher;
  service: string;
  event: CloudEvent;
  delivery: Delivery;
  crashes: number;
  failedAttempts: number;
}): Promise<void> {
  const message = {
    to: { service, delayMs: retryDelayMs(failedAttempts) },
    headers: historyHeaders({ failedAttempts, crashes }),
    ...encodeMessage([encodeEvent(event)]),
  };
  await publishUntilConfirmed(publisher, message, delivery.signal);
  retries.add(1, { type: event.type });
}
