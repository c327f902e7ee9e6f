/**
 * `GET /requests/{place}`: the answer to a request that was not waited for, or not long enough, in the mode it was asked in.
 * It stays where it is. `DELETE` removes it, also one that is still to come.
 */
import { AppError } from '@waybill/common/errors.ts';
import { sendProblemBody } from '@waybill/common/http/http-server.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Answer, isNoContent } from '../../core/answer-event.ts';
import type { Later } from '../../later/later.ts';
import { type AnswerMode, REQUESTS_PATH } from '../../later/request-locations.ts';
import { clientGone } from './client-gone.ts';
import { encodeResponse } from './event-http.ts';
import { waitIn } from './prefer.ts';
import { sendEncoded } from './send-exactly.ts';

/** What a client may do that does not know when the answer comes. */
const RETRY_AFTER_S = 1;

/** Sends an answer as it was asked for; a problem by itself, and with where to look for what is still to come. */
export function sendAnswer(reply: FastifyReply, mode: AnswerMode, answer: Answer): FastifyReply {
  // An event of its own type would be news to clients that know only the types of their replies.
  if (isNoContent(answer)) return reply.code(204).send();
  if (!answer.problem) return sendEncoded(reply, encodeResponse(mode, answer.reply, answer.id));
  const { code, location } = answer.problem;
  // A listener's own problem may have any members, but not this code.
  if (code === 'outcome-unknown' && typeof location === 'string') reply.header('location', location);
  return sendProblemBody(reply, answer.problem);
}

/** 202: the event is accepted, and its answer will be at `location`. */
export function sendAccepted(reply: FastifyReply, id: string, location: string): FastifyReply {
  reply.code(202).header('location', location).header('retry-after', RETRY_AFTER_S);
  return reply.send({ id, location });
}

type PlaceRequest = FastifyRequest & { params: { place: string } };

/** The handler of `GET /requests/{place}`. */
export function createGetRequest({ later, deadlineMs }: { later: Later | undefined; deadlineMs: number }) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { locations, answers } = assertStore(later);
    const place = locations.read((request as PlaceRequest).params.place, request.caller.apiKeyId);
    const waitMs = waitIn(request.headers.prefer, deadlineMs) ?? 0;
    const answer = await answers.fetch(place, { waitMs, onGone: clientGone(reply) });
    reply.header('cache-control', 'no-store');
    return answer
      ? sendAnswer(reply, place.mode, answer)
      : sendAccepted(reply, place.eventId, locations.locationOf(place));
  };
}

/** The handler of `DELETE /requests/{place}`. */
export function createDeleteRequest({ later }: { later: Later | undefined }) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { locations, answers } = assertStore(later);
    await answers.cancel(locations.read((request as PlaceRequest).params.place, request.caller.apiKeyId));
    return reply.code(204).send();
  };
}

/**
 * Sends the answer at `location` where there is one by now; undefined where there is none, or nobody knows.
 */
export async function sendIfAnswered(
  reply: FastifyReply,
  later: Later | undefined,
  location: string,
): Promise<FastifyReply | undefined> {
  if (!later) return undefined;
  try {
    const part = location.slice(REQUESTS_PATH.length);
    const place = later.locations.read(part, reply.request.caller.apiKeyId);
    const answer = await later.answers.fetch(place, { waitMs: 0, onGone: clientGone(reply) });
    return answer && sendAnswer(reply, place.mode, answer);
  } catch (error) {
    reply.log.debug({ err: error }, 'an answer that may have come later cannot be had');
    return undefined;
  }
}

function assertStore(later: Later | undefined): Later {
  if (!later) throw new AppError('no-store', 'answers cannot be fetched later here (setting STORE_URLS)');
  return later;
}
