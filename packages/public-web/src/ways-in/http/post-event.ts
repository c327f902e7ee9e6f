/**
 * `POST /` and `POST /events`: an event in, its reply out, in the mode it came in; and `/ping`, which makes the event.
 */
import { randomUUID } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../../admission/admission.ts';
import { admitBatch } from '../../admission/admit-batch.ts';
import { type AnswerEvent, answerBatch, type Requester, toReplyEvent } from '../../core/answer-event.ts';
import { PUBLIC_WEB_SOURCE } from '../../core/source.ts';
import type { Later } from '../../later/later.ts';
import type { AnswerMode } from '../../later/request-locations.ts';
import type { HeldReplies } from '../../replies/held-replies.ts';
import { clientGone } from './client-gone.ts';
import { decodeRequest, encodeBatchResponse } from './event-http.ts';
import { isAwaitedByOthers, locateReply } from './idempotency-hooks.ts';
import { preferredDeadlineMs, prefersAsync, waitIn } from './prefer.ts';
import { sendAccepted, sendAnswer, sendFetched } from './requests.ts';
import { sendEncoded } from './send-exactly.ts';

export type PostEventOptions = {
  answerEvent: AnswerEvent;
  held: HeldReplies;
  /** Undefined without a store. */
  later?: Later | undefined;
  /** The longest a client waits. */
  deadlineMs: number;
};

/** The handler of `POST /` and `POST /events`. */
export function createPostEvent(options: PostEventOptions) {
  const { answerEvent } = options;
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const decoded = decodeRequest({ headers: request.headers, body }, PUBLIC_WEB_SOURCE, (count) =>
      admitBatch(request.caller, count),
    );
    if (decoded.mode === 'batched') {
      const { events } = decoded;
      const requester = toRequester(reply, events.length, options);
      const answers = await answerBatch(answerEvent, events, { ...requester, series: reply });
      return sendEncoded(reply, encodeBatchResponse(answers.map(toReplyEvent)));
    }
    const { mode } = decoded;
    const [event] = decoded.events;
    if (prefersAsync(request.headers.prefer)) return accept(reply, event, mode, options);
    return sendAnswer(reply, mode, await answerEvent(event, toRequester(reply, 1, options, mode)));
  };
}

/** The handler of `GET /ping` and `POST /ping`. */
export function createPing(options: PostEventOptions) {
  return async (_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const event: CloudEvent = {
      specversion: '1.0',
      id: randomUUID(),
      source: PUBLIC_WEB_SOURCE,
      type: 'PingRequest',
      data: { sentAt: Date.now() },
    };
    return sendAnswer(
      reply,
      'plain',
      await options.answerEvent(event, toRequester(reply, 1, options, 'plain')),
    );
  };
}

/** 202 once the broker has the event; or its answer, if that comes while the client waits for it in spite of all. */
async function accept(
  reply: FastifyReply,
  event: CloudEvent,
  mode: AnswerMode,
  options: PostEventOptions,
): Promise<FastifyReply> {
  const { later, held, deadlineMs } = options;
  if (!later) throw new AppError('no-store', 'answers cannot be fetched later here (setting STORE_URLS)');
  const { body, caller, log, headers } = reply.request;
  const bytes = Buffer.isBuffer(body) ? body.length : 0;
  const client = { onGone: clientGone(reply), locate: createLocate(later, mode, caller) };
  const accepted = await later.acceptEvent(event, { caller, log, bytes, client });
  if (accepted.problem) return sendAnswer(reply, mode, { id: event.id, problem: accepted.problem });
  const place = { ...accepted, mode, eventId: event.id, apiKeyId: caller.apiKeyId };
  reply.header('preference-applied', 'respond-async');
  const waitMs = waitIn(headers.prefer, deadlineMs);
  if (waitMs !== undefined && (await sendIfFetched(reply, place, waitMs, { later, held }))) return reply;
  return sendAccepted(reply, event.id, later.locations.locationOf(place));
}

/** The event is accepted, whatever comes of the wait: an error would say that it is not, and have it sent again. */
async function sendIfFetched(...[reply, ...fetching]: Parameters<typeof sendFetched>): Promise<boolean> {
  return await sendFetched(reply, ...fetching).catch((error: unknown) => {
    reply.log.debug({ err: error }, 'the answer to an event that was accepted cannot be waited for');
    return false;
  });
}

/** Where a client looks for the answers that it has not got. */
function createLocate(later: Later, mode: AnswerMode, { apiKeyId }: Pick<Caller, 'apiKeyId'>) {
  return (request: { id: string; dueMs: number; eventId: string }) =>
    later.locations.locationOf({ ...request, mode, apiKeyId });
}

/** Has others who ask under the same idempotency key know where the answer will be, should this instance die. */
function createOnParked({ request }: FastifyReply, locate: ReturnType<typeof createLocate>) {
  return (place: Parameters<typeof locate>[0]) =>
    locateReply(request, { id: place.id, location: locate(place) });
}

/** Who asks for the answers to `count` events. Those of a batch are fetched one by one, as they would be sent alone. */
function toRequester(
  reply: FastifyReply,
  count: number,
  { held, later, deadlineMs }: PostEventOptions,
  mode?: AnswerMode,
): Requester {
  const { headers, body, caller, log } = reply.request;
  const waitMs = preferredDeadlineMs(headers.prefer, deadlineMs);
  if (waitMs < deadlineMs) reply.header('preference-applied', `wait=${waitMs / 1000}`);
  const { hold, release } = held.answer();
  const locate = later && createLocate(later, mode ?? 'structured', caller);
  const onParked =
    locate && mode && isAwaitedByOthers(reply.request) ? createOnParked(reply, locate) : undefined;
  const client = { hold, onGone: clientGone(reply, release), locate, onParked };
  const bytes = Buffer.isBuffer(body) ? body.length / count : 0;
  return { caller, log, client, deadlineMs: waitMs, bytes };
}
