/**
 * `POST /` and `POST /events`: an event in, its reply out, in the mode it came in; and `/ping`, which makes the event.
 */
import { randomUUID } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, PROBLEM_TYPE, stripInternal } from '@waybill/common/event/event.ts';
import { sendProblemBody } from '@waybill/common/http/http-server.ts';
import { isForeignProblemType, type Problem, problemFor, toProblem } from '@waybill/common/problem.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../../admission/admission.ts';
import type { Account } from '../../core/account.ts';
import type { Exchange } from '../../core/exchange.ts';
import type { HeldReplies } from '../../replies/held-replies.ts';
import { clientGone } from './client-gone.ts';
import { decodeRequest, type EncodedResponse, encodeBatchResponse, encodeResponse } from './event-http.ts';
import { preferredDeadlineMs } from './prefer.ts';
import { sendExactly } from './send-exactly.ts';

/** The `source` of events and problems this tier makes. */
export const PUBLIC_WEB_SOURCE = '/waybill/public-web';

/** Most events in a client's batch. */
const MAX_BATCH_EVENTS = 256;

export type PostEventOptions = {
  exchange: Exchange;
  account: Account;
  held: HeldReplies;
  /** The longest a client waits. */
  deadlineMs: number;
  /** What names a type in telemetry. */
  labelOf(type: string): string;
};

/** The handler of `POST /` and `POST /events`. */
export function createPostEvent(options: PostEventOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const decoded = decodeRequest({ headers: request.headers, body }, PUBLIC_WEB_SOURCE, (count) =>
      admitBatch(request.caller, count),
    );
    const answers = await exchangeAll(decoded.events, options, request, reply);
    const [answer] = answers;
    if (decoded.mode === 'batched' || !answer)
      return send(reply, encodeBatchResponse(answers.map(toReplyEvent)));
    if (answer.problem) return sendProblemBody(reply, answer.problem);
    return send(reply, encodeResponse(decoded.mode, answer.reply, answer.id));
  };
}

/** One that is too large costs as much as the largest that is taken, or refusing it would come cheaper than sending it. */
function admitBatch(caller: Caller, count: number): void {
  if (count > 1) caller.countEvents(Math.min(count, MAX_BATCH_EVENTS));
  if (count > MAX_BATCH_EVENTS)
    throw new AppError('too-large', `a batch has at most ${MAX_BATCH_EVENTS} events`);
}

/** The handler of `GET /ping` and `POST /ping`. */
export function createPing(options: PostEventOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const event: CloudEvent = {
      specversion: '1.0',
      id: randomUUID(),
      source: PUBLIC_WEB_SOURCE,
      type: 'PingRequest',
      data: { sentAt: Date.now() },
    };
    const [answer] = await exchangeAll([event], options, request, reply);
    if (!answer || answer.problem) return sendProblemBody(reply, answer?.problem ?? problemFor('unexpected'));
    return send(reply, encodeResponse('plain', answer.reply, answer.id));
  };
}

/** What became of one event: its reply, or the problem its client is told. */
type Answer = { id: string; reply: CloudEvent; problem?: undefined } | { id: string; problem: Problem };

function exchangeAll(
  inputs: (CloudEvent | AppError)[],
  { exchange, account, held, deadlineMs, labelOf }: PostEventOptions,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<Answer[]> {
  const waitMs = preferredDeadlineMs(request.headers.prefer, deadlineMs);
  if (waitMs < deadlineMs) reply.header('preference-applied', `wait=${waitMs / 1000}`);
  const signal = clientGone(reply);
  const { hold } = held.answer(reply.raw);
  const bytes = Buffer.isBuffer(request.body) ? request.body.length / inputs.length : 0;
  return Promise.all(
    inputs.map(async (input): Promise<Answer> => {
      if (input instanceof AppError) return { id: randomUUID(), problem: toProblem(input) };
      const startedMs = performance.now();
      const answer = await exchangeOne(exchange, request, input, { deadlineMs: waitMs, bytes, hold, signal });
      account({
        log: request.log,
        event: input,
        label: labelOf(input.type),
        status: answer.problem?.status ?? 200,
        code: answer.problem?.code,
        success: 'answered',
        durationMs: performance.now() - startedMs,
      });
      return answer;
    }),
  );
}

async function exchangeOne(
  exchange: Exchange,
  { caller, log }: FastifyRequest,
  event: CloudEvent,
  options: Parameters<Exchange>[1],
): Promise<Answer> {
  const { id } = event;
  try {
    caller.assertMaySend(event.type);
    const reply = await exchange(event, options);
    return reply.type === PROBLEM_TYPE
      ? { id, problem: toClientProblem(reply, id) }
      : { id, reply: stripInternal(reply) };
  } catch (thrown) {
    const error = toPublicError(thrown, log, { event_id: id });
    return { id, problem: toProblem(error, { event_id: id }) };
  }
}

/**
 * The problem a listener replied with, as far as it is one. The event has run, whatever it says: its code is `handler-failed`, its
 * type (and the title that goes with it) none of ours, and its status none that invites clients to send the event again.
 */
function toClientProblem({ data }: CloudEvent, eventId: string): Problem {
  const problem = problemFor('handler-failed', undefined, { event_id: eventId });
  if (typeof data !== 'object' || data === null) return problem;
  const given = data as Partial<Problem>;
  const isTheirs = given.type === undefined || isForeignProblemType(given.type);
  const { type, title } = isTheirs ? { ...problem, ...given } : problem;
  const status = toClientStatus(given.status) ?? problem.status;
  return { ...problem, ...given, type, title, status, code: problem.code, event_id: eventId };
}

/** What clients take for a reason to send the same again: by RFC 9110 (408, 421, 503), 8470 (425), 6585 (429), or by custom (504). */
const INVITING_RETRIES: readonly unknown[] = [408, 421, 425, 429, 503, 504];

function toClientStatus(status: unknown): number | undefined {
  const isError = Number.isInteger(status) && Number(status) >= 400 && Number(status) <= 599;
  return isError && !INVITING_RETRIES.includes(status) ? Number(status) : undefined;
}

function toReplyEvent(answer: Answer): CloudEvent {
  if (!answer.problem) return answer.reply;
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: PUBLIC_WEB_SOURCE,
    type: PROBLEM_TYPE,
    datacontenttype: 'application/problem+json',
    data: answer.problem,
  };
}

function send(reply: FastifyReply, { headers, body }: EncodedResponse): FastifyReply {
  if (Buffer.isBuffer(body)) return sendExactly(reply, { headers, body });
  return reply.headers(headers).send(body);
}
