/**
 * The requests of one connection, from when they are made until they are answered, over as many links as it takes.
 *
 * Answers come in the order in which public-web has taken the events. So when one comes, whatever was sent before its event and
 * has no answer was never taken, and is sent again: that is how what was lost with a link is found. While a link before has left some
 * without an answer, nothing else is sent over a new WebSocket but a *probe*, an event that public-web refuses, in its turn.
 */
import type { Link, Message, Outgoing } from './link.ts';
import { createPendingRequest, type PendingRequest, type RequestTimes } from './pending-request.ts';
import { randomId } from './random-id.ts';
import { type Problem, problemOf, RequestFailed } from './request-failed.ts';

/** Types that begin with `waybill.` are internal: nobody handles this. */
const PROBE_TYPE = 'waybill.Probe';
const PROBE_ID = 'waybill.Probe:';
const PROBLEM_TYPE = 'waybill.Problem';
/**
 * Most that are sent and unanswered. public-web takes 256, and hands over as many that are not acknowledged: an acknowledgement is
 * read behind what was sent before it.
 */
const MAX_SENT = 128;
/** Most that wait for their turn, or for a link. */
const MAX_WAITING = 10_000;
/** So many that were answered are remembered: what was sent twice may be answered twice. */
const MAX_ANSWERED = 1_000;

export type PendingRequests = {
  /**
   * Sends an event in its turn, and resolves with the reply.
   *
   * @throws RequestFailed; the reason of `signal`; TypeError when one of that id is under way, or it is none in JSON
   */
  add(event: Outgoing['event'], times: RequestTimes): Promise<Message>;
  /** From now on events are sent over this link. */
  opened(link: Link): void;
  /** There is no link any more; `isTooLarge` when it ended by the size of what was sent. */
  lost(isTooLarge: boolean): void;
  /** Whether a message is done with: it was the answer to a request, or of no interest to anybody. */
  settle(message: Message): boolean;
  /** Resolves when there are none. */
  settled(): Promise<void>;
  /** Ends all, and takes no more. */
  fail(cause: Error): void;
};

/** Creates {@link PendingRequests}; `source` is that of the events. */
export function createPendingRequests({ source }: { source: string }): PendingRequests {
  const pending = new Map<string, PendingRequest>();
  /** Those that are to be sent, in order. */
  const waiting = new Set<PendingRequest>();
  /** Those that were sent, in order. */
  const sent = new Set<PendingRequest>();
  const answered = new Set<string>();
  let link: Link | undefined;
  /** The id of the probe whose answer is waited for. */
  let probe: string | undefined;
  /** Why public-web could not read something, which it did not name. */
  let refusal: Problem | undefined;
  /** Answers may be lost, so that what has none may have run. */
  let isInDoubt = false;
  let failure: Error | undefined;
  let settling = Promise.withResolvers<void>();

  function pump(): void {
    for (const next of waiting) {
      if (!link || probe !== undefined || sent.size >= MAX_SENT) return;
      waiting.delete(next);
      sent.add(next);
      next.isSent = true;
      link.send(next);
    }
  }

  function sendProbe(): void {
    if (probe !== undefined) return;
    probe = `${PROBE_ID}${randomId()}`;
    const event = { specversion: '1.0', id: probe, source, type: PROBE_TYPE };
    link?.send({ event, text: JSON.stringify(event), key: probe, isWanted: () => true, onTaken() {} });
  }

  /** The answer to `last`, or to what was sent behind all, has come: those before it were not taken. */
  function settleBefore(last?: PendingRequest): void {
    const those: PendingRequest[] = [];
    for (const each of sent) {
      if (each === last) break;
      those.push(each);
    }
    if (refusal) for (const each of those) each.fail(refusal);
    else sendAgain(those, isInDoubt);
  }

  /** In the order in which they were, and before what waits. */
  function sendAgain(those: PendingRequest[], mayHaveRun: boolean): void {
    const behind = [...waiting];
    waiting.clear();
    for (const each of those) {
      each.isSent = false;
      each.mayHaveRun ||= mayHaveRun;
      sent.delete(each);
      waiting.add(each);
    }
    for (const each of behind) waiting.add(each);
  }

  function remember(id: string): void {
    answered.add(id);
    const [oldest] = answered;
    if (answered.size > MAX_ANSWERED && oldest) answered.delete(oldest);
  }

  /** What public-web says without a token is of an event that it has not taken. */
  function refused({ requestid, data }: Message): void {
    const problem = data as Problem;
    // The session is over, and so is the link in a moment: the next one takes it.
    if (problem.code === 'not-accepted') return;
    if (requestid === undefined) {
      refusal = problem;
      sendProbe();
    } else pending.get(requestid)?.fail(problem);
  }

  /** Whether a message was the answer to the probe, or to one before. */
  function isProbed(id: string): boolean {
    if (!id.startsWith(PROBE_ID)) return false;
    if (id === probe) {
      probe = undefined;
      settleBefore();
      refusal = undefined;
      isInDoubt = false;
      pump();
    }
    return true;
  }

  return {
    async add(event, times) {
      const { id } = event;
      if (failure) throw notAccepted(id, failure.message, failure);
      if (pending.has(id)) throw new TypeError(`a request ${id} is under way`);
      if (waiting.size >= MAX_WAITING) throw notAccepted(id, 'too many requests wait');
      const request = createPendingRequest(event, {
        ...times,
        key: randomId(),
        onOver() {
          pending.delete(id);
          waiting.delete(request);
          sent.delete(request);
          if (pending.size === 0) settling.resolve();
          pump();
        },
      });
      if (pending.size === 0) settling = Promise.withResolvers();
      pending.set(id, request);
      waiting.add(request);
      pump();
      return request.answer;
    },
    opened(opened) {
      link = opened;
      if (link.via === 'websocket' && sent.size > 0) sendProbe();
      // Their keys, or else their ids, tell that they are the same.
      else
        sendAgain(
          [...sent].filter(({ isTaken }) => !isTaken),
          true,
        );
      pump();
    },
    lost(isTooLarge) {
      link = undefined;
      probe = undefined;
      refusal = undefined;
      if (!isTooLarge) return;
      // Whatever was too large is among those without an answer.
      const [largest] = [...sent].sort((one, other) => other.text.length - one.text.length);
      largest?.fail(problemOf('too-large', 413, 'the event is larger than public-web takes'));
    },
    settle(message) {
      const { requestid: id, token } = message;
      if (token === undefined) {
        refused(message);
        return true;
      }
      if (id === undefined) {
        isInDoubt = true;
        return false;
      }
      if (isProbed(id)) return true;
      const request = pending.get(id);
      if (!request) return answered.has(id);
      if (sent.has(request)) settleBefore(request);
      remember(id);
      if (message.type === PROBLEM_TYPE) request.fail(message.data as Problem);
      else request.resolve(message);
      return true;
    },
    async settled() {
      if (pending.size > 0) await settling.promise;
    },
    fail(cause) {
      failure = cause;
      for (const request of pending.values()) request.giveUp(cause.message, cause);
    },
  };
}

function notAccepted(id: string, why: string, cause?: Error): RequestFailed {
  return new RequestFailed(problemOf('not-accepted', 503, why), id, cause);
}
