import { type ErrorCode, isErrorCode } from '@waybill/common/errors.ts';
import { eventDuration, events } from '@waybill/common/telemetry/metrics.ts';
import type { Logger } from 'pino';
import { createLineLimit } from './line-limit.ts';

/** What an event can end with without having cost its sender more than the sending, or waiting. */
const FREE_OF_COST: ReadonlySet<ErrorCode> = new Set([
  'invalid-request',
  'unauthorized',
  'forbidden',
  'unroutable',
  'too-large',
  'rate-limited',
  'client-gone',
  'not-accepted',
]);

/**
 * Counts an event that this tier has answered, and logs it: the only line per event, as other tiers log at debug. Of those
 * that strangers can have refused without end, only ten a second are logged at `info`, the rest at `debug`.
 */
export type Account = (outcome: {
  log: Pick<Logger, 'info' | 'debug'>;
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
}) => void;

/** Creates {@link Account}; how many lines `log` was spared is told there, once a second. */
export function createAccount({ log: summaryLog }: { log: Pick<Logger, 'info'> }): Account {
  const limit = createLineLimit(summaryLog);
  return ({ log, event, label, status, code, success, durationMs }) => {
    const attributes = { tier: 'public-web', type: label, outcome: toOutcome(code, success) };
    events.add(1, attributes);
    eventDuration.record(durationMs / 1000, attributes);
    const isFree = code !== undefined && FREE_OF_COST.has(code as ErrorCode);
    const level = isFree && !limit.allows(code) ? 'debug' : 'info';
    log[level](
      {
        event_id: event.id,
        event_type: event.type,
        status,
        outcome: code,
        duration_ms: Math.round(durationMs),
      },
      'event answered',
    );
  };
}

/** What metrics are told. The code of a handler is its own, of which there may be any number; the log has it. */
function toOutcome(code: string | undefined, success: string): string {
  if (code === undefined) return success;
  return isErrorCode(code) ? code : 'refused';
}
