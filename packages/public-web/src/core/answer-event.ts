/**
 * An event and its caller in, an answer out: what every way in does with the events that it has read. Nothing here knows
 * by what transport they came.
 *
 * The answer is the reply, or the problem that the client is told instead. Each event is answered once, counted once
 * and logged once, whatever becomes of it.
 */
import { randomUUID } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import {
  type CloudEvent,
  INTERNAL_ATTRIBUTES,
  NO_CONTENT_TYPE,
  PROBLEM_TYPE,
} from '@waybill/common/event/event.ts';
import { type Problem, toProblem } from '@waybill/common/problem.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import type { Logger } from 'pino';
import type { Caller } from '../admission/admission.ts';
import type { Account } from './account.ts';
import type { Ask, AskOptions } from './ask.ts';
import { toClientProblem } from './client-problem.ts';
import { PUBLIC_WEB_SOURCE } from './source.ts';

/** What became of the event `id`: its reply, without what is internal; or the problem its client is told. */
export type Answer =
  | { id: string; reply: CloudEvent; problem?: undefined }
  | { id: string; problem: Problem };

/** Who asks, as the way in knows it. */
export type Requester = AskOptions & {
  caller: Pick<Caller, 'assertMaySend'>;
  log: Pick<Logger, 'info' | 'debug' | 'error'>;
};

/** Answers an event; never rejects. */
export type AnswerEvent = (event: CloudEvent, requester: Requester) => Promise<Answer>;

/** Creates {@link AnswerEvent}. */
export function createAnswerEvent({
  ask,
  account,
  labelOf,
}: {
  ask: Ask;
  account: Account;
  /** What names a type in telemetry. */
  labelOf(type: string): string;
}): AnswerEvent {
  return async (event, requester) => {
    const { id, type } = event;
    const startedMs = performance.now();
    let answer: Answer;
    try {
      requester.caller.assertMaySend(type);
      answer = toAnswer(await ask(event, requester), id);
    } catch (thrown) {
      const error = toPublicError(thrown, requester.log, { event_id: id });
      answer = { id, problem: toProblem(error, { event_id: id }) };
    }
    account({
      log: requester.log,
      event,
      label: labelOf(type),
      status: answer.problem?.status ?? (isNoContent(answer) ? 204 : 200),
      code: answer.problem?.code,
      success: 'answered',
      durationMs: performance.now() - startedMs,
    });
    return answer;
  };
}

/** What a client is told of the reply to its event `id`. */
export function toAnswer(reply: CloudEvent, id: string): Answer {
  return reply.type === PROBLEM_TYPE
    ? { id, problem: toClientProblem(reply, id) }
    : { id, reply: withoutInternal(reply) };
}

const INTERNAL: ReadonlySet<string> = new Set(INTERNAL_ATTRIBUTES);

/** A copy: V8 is slow with objects that members were deleted from. */
function withoutInternal(reply: CloudEvent): CloudEvent {
  const shown = {} as CloudEvent;
  for (const name in reply) if (!INTERNAL.has(name)) shown[name] = reply[name];
  return shown;
}

/** Answers the events of a batch, each by itself and in order; one at fault stands as its error. */
export function answerBatch(
  answerEvent: AnswerEvent,
  events: readonly (CloudEvent | AppError)[],
  requester: Requester,
): Promise<Answer[]> {
  return Promise.all(
    events.map((event) =>
      event instanceof AppError
        ? { id: randomUUID(), problem: toProblem(event) }
        : answerEvent(event, requester),
    ),
  );
}

/** Whether the event is done, and its handler has nothing to say. */
export function isNoContent(answer: Answer): boolean {
  return !answer.problem && answer.reply.type === NO_CONTENT_TYPE;
}

/**
 * An answer where events are expected: a problem becomes the data of an event. `requestid` names the event that it answers,
 * where there was one.
 */
export function toReplyEvent(answer: Answer): CloudEvent {
  if (!answer.problem) return { ...answer.reply, requestid: answer.id };
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: PUBLIC_WEB_SOURCE,
    type: PROBLEM_TYPE,
    datacontenttype: 'application/problem+json',
    data: answer.problem,
    ...(answer.problem.event_id !== undefined && { requestid: answer.id }),
  };
}
