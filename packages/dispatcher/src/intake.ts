/** `POST /events`: a signed batch of events from public-web, every one accounted for. */
import type { PublishOutcome } from '@waybill/common/broker/ports.ts';
import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, expiryMs, toEvent } from '@waybill/common/event/event.ts';
import { parseForwardedJson, toArray } from '@waybill/common/event/event-json.ts';
import type { ClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import type { IntakeAnswer } from '@waybill/common/internal-call/intake-answer.ts';
import type { Key } from '@waybill/common/internal-call/internal-keys.ts';
import { verifyCall } from '@waybill/common/internal-call/verify-call.ts';
import { problemFor, toProblem } from '@waybill/common/problem.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import type { FastifyBaseLogger, FastifyReply, FastifyRequest } from 'fastify';
import type { PublishEvent } from './publish.ts';

/**
 * The handler of `POST /events`: 200 with an {@link IntakeAnswer}; 401 when the call is not signed; 503 when the
 * broker is known to take nothing now, or this dispatcher is stopping, so that the caller can ask another one.
 * Nothing of a batch answered other than 200 was published.
 */
export function createIntake({
  isBrokerAvailable,
  publishEvent,
  keys,
  clock,
  isStopping,
}: {
  /** Whether it takes events, and this dispatcher the replies to them. */
  isBrokerAvailable(): boolean;
  publishEvent: PublishEvent;
  keys: Key[];
  clock: ClockCheck;
  isStopping(): boolean;
}) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const body = verifyCall(request, { keys, clock });
    if (isStopping()) throw new AppError('not-accepted', 'this dispatcher is stopping');
    if (!isBrokerAvailable()) throw new AppError('not-accepted', 'the broker does not take events now');
    const answer: IntakeAnswer = { unroutable: [], rejected: [], unknown: [] };
    const values = toArray(parseForwardedJson(body));
    await Promise.all(values.map((value) => takeIn(value, answer, request.log)));
    return reply.send(answer);
  };

  async function takeIn(value: unknown, answer: IntakeAnswer, log: FastifyBaseLogger): Promise<void> {
    const id = correlationIdOf(value);
    try {
      const event = toEvent(value);
      if (Date.now() >= expiryMs(event))
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
