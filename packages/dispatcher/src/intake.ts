/** `POST /events`: a batch of events from public-web, every one accounted for. */
import type { PublishOutcome } from '@waybill/common/broker/ports.ts';
import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, expiryMs } from '@waybill/common/event/event.ts';
import { type Forwarded, parseForwardedBatch, toForwardedEvent } from '@waybill/common/event/event-json.ts';
import type { IntakeAnswer } from '@waybill/common/internal-call/intake-answer.ts';
import type { InternalCall } from '@waybill/common/internal-call/internal-app.ts';
import { problemFor, toProblem } from '@waybill/common/problem.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import type { FastifyBaseLogger } from 'fastify';
import type { PublishEvent } from './publish.ts';

/**
 * What handles `POST /events`: answers 200 with an {@link IntakeAnswer}; 503 when the broker is known to take nothing
 * now, or this dispatcher is stopping, so that the caller can ask another one. Nothing of a batch answered other than
 * 200 was published.
 */
export function createIntake({
  isBrokerAvailable,
  publishEvent,
  isStopping,
}: {
  /** Whether it takes events, and this dispatcher the replies to them. */
  isBrokerAvailable(): boolean;
  publishEvent: PublishEvent;
  isStopping(): boolean;
}) {
  return async ({ body, log }: InternalCall): Promise<IntakeAnswer> => {
    if (isStopping()) throw new AppError('not-accepted', 'this dispatcher is stopping');
    if (!isBrokerAvailable()) throw new AppError('not-accepted', 'the broker does not take events now');
    const answer: IntakeAnswer = { unroutable: [], rejected: [], unknown: [] };
    await Promise.all(parseForwardedBatch(body).map((forwarded) => takeIn(forwarded, answer, log)));
    return answer;
  };

  async function takeIn(forwarded: Forwarded, answer: IntakeAnswer, log: FastifyBaseLogger): Promise<void> {
    const id = correlationIdOf(forwarded.value);
    try {
      const event = toForwardedEvent(forwarded);
      if (Date.now() >= expiryMs(event.event))
        throw new AppError('not-accepted', 'the deadline passed before publishing');
      record(id, await publishEvent(event), answer);
    } catch (thrown) {
      const error = toPublicError(thrown, log, { correlation_id: id });
      answer.rejected.push({ id, problem: toProblem(error) });
    }
  }
}

function record(id: string, outcome: PublishOutcome, answer: IntakeAnswer): void {
  if (outcome === 'unroutable') answer.unroutable.push(id);
  else if (outcome === 'unknown') answer.unknown.push(id);
  else if (outcome === 'not-accepted')
    answer.rejected.push({ id, problem: problemFor('not-accepted', 'the broker does not take events now') });
}

function correlationIdOf(value: unknown): string {
  return String((value as Partial<CloudEvent> | null)?.correlationid ?? '');
}
