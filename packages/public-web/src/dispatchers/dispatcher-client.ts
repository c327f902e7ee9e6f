/**
 * Hands events to the dispatchers, in batches, and learns what became of each.
 *
 * A dispatcher that provably took nothing (refused connection, its own 503) is passed over for the next; anything else
 * that goes wrong leaves the outcome unknown, because the events may be in the broker already. So does a 503 of whatever
 * else stands in between: it does not know what a dispatcher did.
 */
import { createKeyedBatcher } from '@waybill/common/batch.ts';
import {
  DEFAULT_EVENT_BYTES,
  HTTP_MAX_EVENTS,
  MAX_BATCH_BYTES,
  MAX_BATCHES_IN_FLIGHT,
  MAX_PARTIAL_BATCHES_IN_FLIGHT,
} from '@waybill/common/batch-limits.ts';
import { AppError, type ErrorCode } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { type EncodedEvent, encodeBatch, encodeEvent } from '@waybill/common/event/event-json.ts';
import { createCallTier, type TierAnswer } from '@waybill/common/internal-call/call-tier.ts';
import type { ClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import type { IntakeAnswer } from '@waybill/common/internal-call/intake-answer.ts';
import type { Key } from '@waybill/common/internal-call/internal-keys.ts';
import {
  TROUBLES_PATH,
  type TroublesAnswer,
  type TroublesQuestion,
} from '@waybill/common/internal-call/troubles.ts';
import { fromProblem, isBodyAtFault } from '@waybill/common/problem.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import { batchSize } from '@waybill/common/telemetry/metrics.ts';
import type { Logger } from 'pino';
import { createUpstreams, type Upstream } from './upstreams.ts';

/** A dispatcher's second in its queue, the broker's 5 s to confirm, and the way there and back of a small batch. */
const CALL_TIMEOUT_MS = 7_000;
/**
 * Longest wait for a turn. Batches are stuck for longer when a dispatcher is frozen or the broker confirms nothing; who
 * comes a second into that is refused at once. Twice a dispatcher's own wait, which hinders one dispatcher only.
 */
const MAX_WAIT_MS = 2_000;

/** What clients are told; the reason names addresses of the inside and is for the log. */
const NOT_ACCEPTED = 'no dispatcher takes the event now';

/** How an event fared: `undefined` is confirmed by the broker, an error is the client's answer. */
export type SendOutcome = AppError | undefined;

/** What events have an order in: the connection or the batch that they came by, or the id of the mailbox that they are for. */
export type Series = object | string;

export type DispatcherClient = {
  /**
   * Sends an event in the next batch. Never rejects.
   *
   * @param isCancelled asked just before sending: an event nobody waits for is not sent.
   * @param series for `send-in-order.ts`; undefined for an event that came by itself.
   */
  send(event: CloudEvent, isCancelled: () => boolean, series?: Series): Promise<SendOutcome>;
  /** Asks one dispatcher; resolves with nothing when it does not answer, or knows no such question. */
  askTroubles(question: TroublesQuestion): Promise<TroublesAnswer | undefined>;
  close(): Promise<void>;
};

/** Creates the client for the dispatchers at `urls`; `maxQueued` bounds what waits for a batch. */
export async function createDispatcherClient({
  urls,
  keys,
  clock,
  maxQueued,
  maxEventBytes = DEFAULT_EVENT_BYTES,
  log,
}: {
  urls: readonly string[];
  keys: Key[];
  clock: ClockCheck;
  maxQueued: number;
  /** Of what a client sends (default 256 KiB). */
  maxEventBytes?: number | undefined;
  log: Logger;
}): Promise<DispatcherClient> {
  const callTier = createCallTier({ keys, clock });
  /** Less the brackets of a batch. JSON can grow when it is written anew: 1e20 has 21 digits. */
  const maxForwardedBytes = 2 * maxEventBytes - 2;
  const upstreams = await createUpstreams({ urls, probe, onRoom: () => batcher.wake(), log });

  // By type, so that a type whose queue is stuck holds up no other.
  const batcher = createKeyedBatcher<EncodedEvent, SendOutcome>({
    maxItems: HTTP_MAX_EVENTS,
    maxBytes: MAX_BATCH_BYTES,
    maxInFlight: () => upstreams.capacity(MAX_BATCHES_IN_FLIGHT),
    maxPartialInFlight: () => upstreams.partialCapacity(MAX_PARTIAL_BATCHES_IN_FLIGHT),
    maxQueued,
    maxWaitMs: MAX_WAIT_MS,
    send: (_type, events) => sendToAny(events),
  });

  async function sendToAny(events: EncodedEvent[]): Promise<SendOutcome[]> {
    batchSize.record(events.length, { hop: 'dispatcher' });
    const body = encodeBatch(events);
    const tried = new Set<Upstream>();
    for (let next = upstreams.pick(tried); next; next = upstreams.pick(tried)) {
      const result = await post(next, body);
      if (result.kind === 'answered') return events.map((event) => outcomeOf(event, result.answer));
      // Another dispatcher would say the same: the fault is the batch's.
      if (result.kind === 'refused') return allOf(events, new AppError('not-accepted', NOT_ACCEPTED));
      upstreams.markFailing(next, result.reason);
      if (result.kind === 'unknown')
        return allOf(events, new AppError('outcome-unknown', 'the dispatcher did not answer'));
      tried.add(next);
    }
    return allOf(events, new AppError('not-accepted', NOT_ACCEPTED));
  }

  async function post(upstream: Upstream, body: Buffer): Promise<PostResult> {
    const end = upstreams.begin(upstream);
    const answer = await callTier({
      connections: upstream.pool,
      path: '/events',
      body,
      timeoutMs: CALL_TIMEOUT_MS,
      parse: toIntakeAnswer,
    });
    end();
    return toResult(answer, upstream);
  }

  async function probe(upstream: Upstream): Promise<boolean> {
    const result = await post(upstream, Buffer.from('[]'));
    return result.kind === 'answered';
  }

  return {
    async send(event, isCancelled) {
      try {
        const encoded = encodeEvent(event);
        if (encoded.bytes > maxForwardedBytes)
          return new AppError(
            'too-large',
            `the event has ${encoded.bytes} bytes when written as JSON, more than ${maxForwardedBytes}`,
          );
        return await batcher.add(event.type, encoded, encoded.bytes, isCancelled);
      } catch (thrown) {
        return toPublicError(thrown, log, { event_id: event.id });
      }
    },
    async askTroubles(question) {
      const upstream = upstreams.pick(new Set());
      if (!upstream) return undefined;
      const body = Buffer.from(JSON.stringify(question));
      const call = { connections: upstream.pool, path: TROUBLES_PATH, body, timeoutMs: CALL_TIMEOUT_MS };
      const answer = await callTier({ ...call, parse: toTroublesAnswer });
      return answer.kind === 'answered' ? answer.answer : undefined;
    },
    close: upstreams.close,
  };
}

type PostResult =
  | { kind: 'answered'; answer: IntakeAnswer }
  | { kind: 'not-accepted' | 'refused' | 'unknown'; reason: string };

/** What a dispatcher answers before it publishes anything. */
const NOTHING_PUBLISHED: ReadonlySet<string | undefined> = new Set<ErrorCode>([
  'not-accepted',
  'unauthorized',
  'not-found',
  'invalid-request',
  'too-large',
  'unsupported-media-type',
]);

function toResult(tierAnswer: TierAnswer<IntakeAnswer>, { origin }: Upstream): PostResult {
  if (tierAnswer.kind === 'answered') return tierAnswer;
  if (tierAnswer.kind === 'failed') {
    const { error, isWritten } = tierAnswer;
    return { kind: isWritten ? 'unknown' : 'not-accepted', reason: `${origin}: ${error.message}` };
  }
  const { status, problem } = tierAnswer;
  const reason = `the dispatcher answered ${status}: ${problem.detail ?? ''}`;
  if (isBodyAtFault(status, problem.code)) return { kind: 'refused', reason };
  return { kind: NOTHING_PUBLISHED.has(problem.code) ? 'not-accepted' : 'unknown', reason };
}

function toIntakeAnswer(body: string): IntakeAnswer {
  const answer = JSON.parse(body) as IntakeAnswer;
  if (![answer.unroutable, answer.rejected, answer.unknown].every(Array.isArray))
    throw new Error('the answer is not that of a dispatcher');
  return answer;
}

function toTroublesAnswer(body: string): TroublesAnswer {
  const answer = JSON.parse(body) as TroublesAnswer;
  if (![answer.undeclared, answer.idle].every(Array.isArray))
    throw new Error('the answer is not that of a dispatcher');
  return answer;
}

function outcomeOf({ event }: EncodedEvent, { unroutable, rejected, unknown }: IntakeAnswer): SendOutcome {
  const id = event.correlationid ?? '';
  if (unroutable.includes(id))
    return new AppError('unroutable', `no listener takes events of type ${event.type}`);
  if (unknown.includes(id)) return new AppError('outcome-unknown', 'the broker did not confirm the event');
  const problem = rejected.find((item) => item.id === id)?.problem;
  return problem && fromProblem(problem, 'not-accepted');
}

function allOf(events: EncodedEvent[], outcome: AppError): SendOutcome[] {
  return events.map(() => outcome);
}
