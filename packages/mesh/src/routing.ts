/**
 * Where a call goes that this site does not serve: to one neighbour after the other, until one of them has run it, or may have.
 *
 * Only what provably did not run is tried elsewhere. Loops end in two ways: no site that has answered is asked again, as each
 * answer names those that were asked on its way (so a call costs at most one hop per site, and one more for each that cannot
 * reach another); and a call goes over at most {@link MAX_HOPS}. Both travel with it (`way.ts`); a peer other than Waybill is asked
 * to serve the call itself, as a Serve is.
 */
import { type ErrorCode, toAppError } from '@waybill/common/errors.ts';
import { isCollectorId } from './collector-id.ts';
import {
  BAD_REQUEST,
  DETAILS,
  FAILED,
  failure,
  hasNotRun,
  NOT_FOUND,
  refusal,
  type ServeRequest,
  type ServeResponse,
} from './messages.ts';
import type { CallOptions } from './methods.ts';
import type { Neighbour } from './neighbour.ts';
import { createOrder } from './order.ts';
import { timeLeft } from './time-left.ts';
import { addAsked, MAX_HOPS, onItsWay, type Way } from './way.ts';

/** In `details.code` of a call whose hops ran out. */
const HOP_LIMIT = 'hop-limit';

/**
 * Sends a call on, in the order of {@link inOrder}. Resolves with what the first said that has run it or may have; where none
 * has, with what says most ({@link weightier}). Undefined when there is nobody to ask.
 */
export type Route = (call: {
  request: ServeRequest;
  way: Way;
  neighbours: readonly Neighbour[];
  options: CallOptions;
}) => Promise<{ answer: ServeResponse | undefined; visited: ReadonlySet<string> }>;

/** Creates {@link Route} of the site `id`. */
export function createRoute(id: string): Route {
  const order = createOrder();

  /** Next time a neighbour is asked itself, and not the one that asked it: that would be one hop more, over one site more. */
  function noteRun(
    executorId: string,
    asked: Neighbour,
    candidates: readonly Neighbour[],
    request: ServeRequest,
  ): void {
    const direct = candidates.find((one) => one !== asked && one.peerId() === executorId);
    order.note(direct ?? asked, request, true);
    if (direct) order.note(asked, request, false);
  }

  return async ({ request, way, neighbours, options }) => {
    const left = timeLeft(options);
    const visited = new Set(way.visited).add(id);
    const candidates = neighbours.filter(
      (one) => sharesNamespace(one, request) && !visited.has(one.peerId()),
    );
    if (candidates.length === 0) return { answer: undefined, visited };
    if (way.hops >= MAX_HOPS) return { answer: hopsRanOut(request), visited };
    let answer: ServeResponse | undefined;
    for (const neighbour of order.sort(candidates, request)) {
      // By the answers of those before it.
      if (visited.has(neighbour.peerId())) continue;
      const sent = onItsWay(request, { hops: way.hops + 1, visited });
      const isPossible = (id: string) => isCollectorId(id) && !visited.has(id);
      const peerId = neighbour.peerId();
      const { answer: next, hasAnswered } = await ask(neighbour, sent, left(), isPossible);
      if (isKnownToHaveRun(next)) noteRun(next.executor_id, neighbour, candidates, request);
      if (!hasNotRun(next.status)) return { answer: next, visited };
      if (next.status.code === NOT_FOUND) order.note(neighbour, request, false);
      // One that this site cannot reach may be reached by another.
      if (hasAnswered) addAsked(visited, peerId, next.status);
      answer = weightier(answer, next);
      // What one cannot be sent, as it is too large, no other can.
      if (!hasAnswered && next.status.code === BAD_REQUEST) break;
    }
    return { answer, visited };
  };
}

/** What became of a call to a neighbour; without an answer of its own, `answer` says why it has none. */
export type Asked = { answer: ServeResponse; hasAnswered: boolean };

/** Asks one neighbour; never rejects. `isPossible` says who may have run the call: another that it names did not. */
export async function ask(
  neighbour: Neighbour,
  request: ServeRequest,
  options: CallOptions,
  isPossible: (executorId: string) => boolean,
): Promise<Asked> {
  if (options.deadlineMs <= 0) return unanswered('not-accepted', 'the deadline passed');
  try {
    const answer = await neighbour.serve(request, options);
    return { answer: withExecutor(answer, neighbour, isPossible), hasAnswered: true };
  } catch (thrown) {
    const { code, message } = toAppError(thrown);
    const name = neighbour.peerId() || neighbour.address;
    if (code === 'too-large') return unanswered(code, message, BAD_REQUEST);
    if (code === 'not-accepted') return unanswered(code, `collector '${name}' cannot be reached: ${message}`);
    return unanswered('outcome-unknown', `collector '${name}' did not answer: ${message}`);
  }
}

function withExecutor(
  answer: ServeResponse,
  neighbour: Neighbour,
  isPossible: (executorId: string) => boolean,
): ServeResponse {
  if (hasNotRun(answer.status)) return { ...answer, executor_id: '' };
  if (isPossible(answer.executor_id)) return answer;
  return { ...answer, executor_id: isKnownToHaveRun(answer) ? neighbour.peerId() : '' };
}

function isKnownToHaveRun({ status }: ServeResponse): boolean {
  return (
    !hasNotRun(status) && status.code !== BAD_REQUEST && status.details[DETAILS.code] !== 'outcome-unknown'
  );
}

function unanswered(code: ErrorCode, message: string, status = FAILED): Asked {
  return { answer: refusal(failure(status, message, { [DETAILS.code]: code })), hasAnswered: false };
}

function hopsRanOut({ namespace }: ServeRequest): ServeResponse {
  const message = `no collector found for namespace '${namespace}' within ${MAX_HOPS} hops`;
  return refusal(failure(NOT_FOUND, message, { [DETAILS.code]: HOP_LIMIT }));
}

/**
 * Which of two answers says more to who sent a call that nobody has run: that a site does not accept it, or cannot be reached, and so
 * may run it later; that it is too large; that the hops ran out; that it is not served. The later one of equals.
 */
export function weightier(one: ServeResponse | undefined, other: ServeResponse): ServeResponse {
  return one && weightOf(one) > weightOf(other) ? one : other;
}

function weightOf({ status }: ServeResponse): number {
  if (status.code !== NOT_FOUND) return status.code === BAD_REQUEST ? 2 : 3;
  return status.details[DETAILS.code] === HOP_LIMIT ? 1 : 0;
}

function sharesNamespace(neighbour: Neighbour, { namespace }: ServeRequest): boolean {
  return neighbour.connection()?.sharedNamespaces.includes(namespace) ?? false;
}
