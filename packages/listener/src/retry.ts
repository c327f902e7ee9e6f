import type { OutgoingMessage, Publisher } from '@waybill/common/broker/ports.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import { RETRY_DELAYS_MS, type RetryDelayMs } from '@waybill/common/broker/topology.ts';
import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, expiryMs } from '@waybill/common/event/event.ts';
import { encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { retries } from '@waybill/common/telemetry/metrics.ts';
import { originalOf } from './delivered-event.ts';
import { describeError } from './describe-error.ts';
import { TerminalError } from './handler.ts';
import { historyHeaders } from './headers.ts';
import { Problem } from './problem.ts';
import type { PublishReply } from './publish-reply.ts';
import type { Remedy, StepContext } from './step.ts';
import { tellProgress } from './tell-progress.ts';

/**
 * Sets an event that failed aside, alone, as it came, in the service's retry queue, from which it expires back into the
 * work queue (one in order waits where it is), and tells the client that waits; unless another attempt would mend nothing, was not allowed, or would start after the event's deadline.
 */
export function createRetry({
  service,
  publisher,
  publishReply,
  maxAttempts,
}: {
  service: string;
  publisher: Publisher;
  publishReply: PublishReply;
  maxAttempts: number;
}): Remedy {
  return async (failed, event, context) => {
    const { failure } = failed;
    const delayMs = retryDelayMs(context.attempt);
    const isLast = context.attempt >= maxAttempts || Date.now() + delayMs >= expiryMs(event);
    if (isTerminal(failure) || isLast) return failed;
    context.log.warn({ attempt: context.attempt, err: failure }, 'event failed and will be retried');
    const { retryIn } = context.delivered;
    if (retryIn) retryIn(delayMs);
    else await publishUntilConfirmed(publisher, again(context, { service, delayMs }), context.signal);
    retries.add(1, { type: event.type });
    const error = describeError(failure);
    const progress = { attempt: context.attempt, maxAttempts, code: error.code };
    tellProgress(event, { progress, service, publishReply, context });
    return { name: 'retried', error };
  };
}

/** How long an event waits after `failedAttempts` (1 or more) failed ones; the last delay repeats. */
export function retryDelayMs(failedAttempts: number): RetryDelayMs {
  return RETRY_DELAYS_MS[Math.min(failedAttempts, RETRY_DELAYS_MS.length) - 1] ?? RETRY_DELAYS_MS[0];
}

/** Whether another attempt would mend nothing. A service that takes a mandatory further event may yet come. */
function isTerminal(failure: Error): boolean {
  if (failure instanceof TerminalError || failure instanceof Problem) return true;
  return failure instanceof AppError && failure.kind === 'terminal' && failure.code !== 'unroutable';
}

function again(
  { delivered, attempt }: StepContext,
  to: { service: string; delayMs: RetryDelayMs },
): OutgoingMessage {
  const original: CloudEvent = originalOf(delivered);
  const headers = historyHeaders(delivered.delivery, {
    failedAttempts: attempt,
    crashes: delivered.crashes,
  });
  return { to, headers, ...encodeMessage([encodeEvent(original)]) };
}
