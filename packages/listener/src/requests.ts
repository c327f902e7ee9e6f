/**
 * Requests of a listener's handlers to other services: an event goes out as any further event does, and its reply comes
 * back over the broker alone, to a queue of this process.
 *
 * The queue is made with the first request, and goes a while after the process. What waits here is in memory: when the
 * process dies, the event that its handler was at is delivered again and asks again, under the same id. So a request is
 * made at least once, and whoever answers it has to bear repetition, as any handler has.
 */
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { deadLetter } from '@waybill/common/broker/dead-letter.ts';
import type { Delivery, Publisher, Subscriber, Subscription } from '@waybill/common/broker/ports.ts';
import type { PublishObserved } from '@waybill/common/broker/publish-observed.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import { AppError } from '@waybill/common/errors.ts';
import { type CloudEvent, expiryMs, PROBLEM_TYPE, stripInternal } from '@waybill/common/event/event.ts';
import { decodeMessage, encodeMessage } from '@waybill/common/event/event-json.ts';
import type { Problem as ProblemMembers } from '@waybill/common/problem.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import type { Logger } from 'pino';
import { type Request, type RequestOptions, TerminalError } from './handler.ts';
import { MAX_TIMEOUT_MS } from './handler-options.ts';
import { hopsAfter } from './hops.ts';
import { makeEvent } from './make-event.ts';
import { addressOf } from './requester-address.ts';
import type { StepContext } from './step.ts';
import { endedBy } from './with-deadline.ts';

/** How long an answer is waited for when the handler does not say. */
const DEFAULT_TIMEOUT_MS = 30_000;
/** They are acked as they come. */
const PREFETCH = 256;
/** How often it is looked whether replies would arrive by now. */
const LOOK_MS = 20;

/**
 * What a handler gets instead of the reply to its request: the service that answers it has refused it, or failed. Uncaught it
 * is a {@link TerminalError}, with the code of the problem: that service has tried as often as it may.
 */
export class RequestProblem extends TerminalError {
  /** What it was answered with (RFC 9457). */
  readonly problem: Partial<ProblemMembers>;

  constructor(type: string, problem: Partial<ProblemMembers>) {
    const code = problem.error_code ?? problem.code;
    super(
      typeof code === 'string' ? code : 'request-failed',
      `${type}: ${problem.detail ?? problem.title ?? 'it failed'}`,
    );
    this.name = 'RequestProblem';
    this.problem = problem;
  }
}

export type Requests = {
  /** {@link Request} for one attempt at an event. */
  of(event: CloudEvent, context: StepContext): Request;
  close(): Promise<void>;
};

/** Creates the requests of one process. */
export function createRequests({
  service,
  publisher,
  subscriber,
  publishObserved,
  maxEventBytes,
  log,
}: {
  service: string;
  publisher: Publisher;
  subscriber: Pick<Subscriber, 'subscribe'>;
  publishObserved: PublishObserved;
  /** Of a request. */
  maxEventBytes?: number | undefined;
  log: Logger;
}): Requests {
  const requester = `${service}.requests.${randomUUID()}`;
  const waiting = new Map<string, (reply: CloudEvent) => void>();
  let subscription: Subscription | undefined;

  function onDelivery(delivery: Delivery): void {
    try {
      // Whoever asked may have stopped waiting.
      for (const reply of decodeMessage(delivery, { roundsNumbers: true }))
        waiting.get(String(reply.correlationid))?.(reply);
      delivery.ack();
    } catch (thrown) {
      void giveUp(delivery, thrown);
    }
  }

  /** Acked in any case: it would come back for as long as this process lives. */
  async function giveUp(delivery: Delivery, thrown: unknown): Promise<void> {
    const error = toPublicError(thrown, log);
    log.warn({ reason: error.message, queue: delivery.queue }, 'message without events dead-lettered');
    try {
      await deadLetter({ publisher, delivery, reason: 'unparsable', error });
    } catch (err) {
      log.warn({ err, queue: delivery.queue }, 'message without events dropped');
    }
    delivery.ack();
  }

  /** A reply must not come before there is a queue for it. */
  async function open(signal: AbortSignal): Promise<void> {
    subscription ??= subscriber.subscribe({ from: { requester }, prefetch: PREFETCH, onDelivery });
    while (!subscription.isActive() && !signal.aborted) await delay(LOOK_MS, undefined, { ref: false });
    signal.throwIfAborted();
  }

  async function ask(event: CloudEvent, context: StepContext, asked: Asked): Promise<CloudEvent> {
    const { signal, span } = context;
    const correlationid = randomUUID();
    const { promise: replied, resolve } = Promise.withResolvers<CloudEvent>();
    const deadlineMs = Math.min(Date.now() + asked.timeoutMs, expiryMs(event));
    const encoded = makeEvent(
      asked.newEvent,
      {
        ...{ event, service, span, hops: hopsAfter(event, {}), maxEventBytes },
        answerTo: {
          correlationid,
          replyto: addressOf(requester),
          expirytime: new Date(deadlineMs).toISOString(),
        },
      },
      'event',
    );
    const { type } = encoded.event;
    const run = async (inTime: AbortSignal) => {
      await open(inTime);
      const message = encodeMessage([encoded]);
      void publishObserved(type, message, signal);
      await publishUntilConfirmed(publisher, { to: { type }, ...message }, inTime);
      return replied;
    };
    waiting.set(correlationid, resolve);
    try {
      return await endedBy(run, {
        loss: signal,
        lost: () => signal.reason,
        timeoutMs: deadlineMs - Date.now(),
        late: () => new AppError('outcome-unknown', `no reply to ${type} by its deadline`),
      });
    } finally {
      waiting.delete(correlationid);
    }
  }

  return {
    of(event, context) {
      let count = 0;
      return async (type, data, { timeoutMs = DEFAULT_TIMEOUT_MS, id }: RequestOptions = {}) => {
        assertTimeout(timeoutMs);
        count += 1;
        const newEvent = { type, data, id: id ?? idOf([service, event.source, event.id, type, count]) };
        const reply = await ask(event, context, { newEvent, timeoutMs });
        if (reply.type === PROBLEM_TYPE)
          throw new RequestProblem(type, (reply.data ?? {}) as Partial<ProblemMembers>);
        return stripInternal(reply);
      };
    },
    close: async () => subscription?.cancel(),
  };
}

type Asked = { newEvent: { type: string; data: unknown; id: string }; timeoutMs: number };

/** The same for another attempt at the event, if that asks in the same order. */
function idOf(parts: readonly (string | number)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22);
}

function assertTimeout(timeoutMs: number): void {
  if (Number.isInteger(timeoutMs) && timeoutMs >= 1 && timeoutMs <= MAX_TIMEOUT_MS) return;
  throw new TerminalError(
    'invalid-request',
    `timeoutMs of a request must be a whole number from 1 to ${MAX_TIMEOUT_MS}`,
  );
}
