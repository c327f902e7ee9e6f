import { eventDuration, events } from '@waybill/common/metrics.ts';
import type { Logger } from 'pino';

/** Counts an event that this tier has answered, and logs it: the only line per event, as other tiers log at debug. */
export function account({
  log,
  event,
  label,
  status,
  code,
  success,
  durationMs,
}: {
  log: Pick<Logger, 'info'>;
  event: { id: string; type: string };
  /** What names the type in telemetry. */
  label: string;
  /** What the client was told: the HTTP status, also where it is not HTTP. */
  status: number;
  /** The code of the problem, if it is one. */
  code: string | undefined;
  /** The outcome if it is none. */
  success: 'answered' | 'accepted';
  durationMs: number;
}): void {
  const attributes = { tier: 'public-web', type: label, outcome: code ?? success };
  events.add(1, attributes);
  eventDuration.record(durationMs / 1000, attributes);
  log.info(
    {
      event_id: event.id,
      event_type: event.type,
      status,
      outcome: code,
      duration_ms: Math.round(durationMs),
    },
    'event answered',
  );
}
