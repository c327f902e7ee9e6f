/**
 * `GET /requests/{place}`: the answer to a request that was not waited for, or not long enough, in the mode it was asked in.
 * It stays where it is. `DELETE` removes it, also one that is still to come.
 */
import { AppError } from '@waybill/common/errors.ts';
import { sendProblemBody } from '@waybill/common/http/http-server.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { type Answer, isNoContent } from '../../core/answer-event.ts';
import type { Later } from '../../later/later.ts';
import { type AnswerMode, REQUESTS_PATH, type RequestPlace } from '../../later/request-locations.ts';
import type { HeldReplies } from '../../replies/held-replies.ts';
import { clientGone } from './client-gone.ts';
import { encodeResponse } from './event-http.ts';
import { waitIn } from './prefer.ts';
import { sendEncoded } from './send-exactly.ts';

/** What a client may do that does not know when the answer comes. */
const RETRY_AFTER_S = 1;

/**
 * Sends an answer as it was asked for; a problem by itself, and with where to look for what is still to come.
 *
 * @param hold told how large it is, where nobody has counted it yet
 */
export function sendAnswer(
  reply: FastifyReply,
  mode: AnswerMode,
  answer: Answer,
  hold?: (bytes: number) => void,
): FastifyReply {
  // An event of its own type would be news to clients that know only the types of their replies.
  if (isNoContent(answer)) return reply.code(204).send();
  if (!answer.problem) {
    const encoded = encodeResponse(mode, answer.reply, answer.id);
    hold?.(Buffer.byteLength(encoded.body));
    return sendEncoded(reply, encoded);
  }
  hold?.(Buffer.byteLength(JSON.stringify(answer.problem)));
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

/** What answers are fetched with; they are held until their clients have read them. */
type Fetching = { later: Later; held: HeldReplies };

/**
 * Sends the answer at `place`, if it comes within `waitMs`; resolves with whether it has.
 *
 * @throws AppError as `fetch` does; `not-accepted` also while there is no room for what clients have not read yet.
 */
export async function sendFetched(
  reply: FastifyReply,
  place: RequestPlace,
  waitMs: number,
  { later, held }: Fetching,
): Promise<boolean> {
  assertRoom(held);
  const { hold, release } = held.answer();
  const answer = await later.answers.fetch(place, { waitMs, onGone: clientGone(reply, release) });
  if (!answer) return false;
  // Many may have waited for it.
  assertRoom(held);
  sendAnswer(reply, place.mode, answer, hold);
  return true;
}

/** @throws AppError `not-accepted` while there is no room for what clients have not read yet. */
export function assertRoom(held: HeldReplies): void {
  if (!held.hasRoom()) throw new AppError('not-accepted', 'clients are slow to read the answers before');
}

type PlaceRequest = FastifyRequest & { params: { place: string } };

/** The handler of `GET /requests/{place}`. */
export function createGetRequest({
  later,
  held,
  deadlineMs,
}: {
  later?: Later | undefined;
  held: HeldReplies;
  deadlineMs: number;
}) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const fetching = { later: assertStore(later), held };
    const { locations } = fetching.later;
    const place = locations.read((request as PlaceRequest).params.place, request.caller.apiKeyId);
    const waitMs = waitIn(request.headers.prefer, deadlineMs) ?? 0;
    reply.header('cache-control', 'no-store');
    if (await sendFetched(reply, place, waitMs, fetching)) return reply;
    return sendAccepted(reply, place.eventId, locations.locationOf(place));
  };
}

/** The handler of `DELETE /requests/{place}`. */
export function createDeleteRequest({ later }: { later?: Later | undefined }) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const { locations, answers } = assertStore(later);
    await answers.cancel(locations.read((request as PlaceRequest).params.place, request.caller.apiKeyId));
    return reply.code(204).send();
  };
}

/**
 * Sends the answer at `location` where there is one by now; resolves with false where there is none, or nobody knows.
 */
export async function sendIfAnswered(
  reply: FastifyReply,
  location: string,
  { later, held }: { later?: Later | undefined; held: HeldReplies },
): Promise<boolean> {
  if (!later) return false;
  try {
    const part = location.slice(REQUESTS_PATH.length);
    const place = later.locations.read(part, reply.request.caller.apiKeyId);
    return await sendFetched(reply, place, 0, { later, held });
  } catch (error) {
    reply.log.debug({ err: error }, 'an answer that may have come later cannot be had');
    return false;
  }
}

function assertStore(later: Later | undefined): Later {
  if (!later) throw new AppError('no-store', 'answers cannot be fetched later here (setting STORE_URLS)');
  return later;
}
