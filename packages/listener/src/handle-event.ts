/**
 * One event: through its handler, and on to whatever follows from it. When this is done, all that the event led to
 * (reply, further events, a retry, a dead letter) is confirmed by the broker.
 */
import { type DeadLetterReason, deadLetter } from '@waybill/common/broker/dead-letter.ts';
import type { Delivery, Publisher } from '@waybill/common/broker/ports.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import { EVENTS_EXCHANGE } from '@waybill/common/broker/topology.ts';
import { type CloudEvent, expiryMs } from '@waybill/common/event.ts';
import { encodeMessage } from '@waybill/common/event-json.ts';
import { eventDuration, events as eventsCounter } from '@waybill/common/metrics.ts';
import type { EventSpan } from '@waybill/common/tracing.ts';
import type { Logger } from 'pino';
import { type Handler, type HandlerResult, type HandlerWithOptions, TerminalError } from './handler.ts';
import { attemptsOf } from './headers.ts';
import { type Maker, makeEvent, makeProblem } from './make-event.ts';
import type { PublishReply } from './publish-reply.ts';
import { retryDelayMs, retryLater } from './retry.ts';
import { withDeadline } from './with-deadline.ts';
import { withTrace } from './with-trace.ts';

const DEFAULT_MAX_ATTEMPTS = 5;
const DEFAULT_TIMEOUT_MS = 30_000;

type Failure = { reason: DeadLetterReason; error: { code: string; message: string } };

export type HandleEvent = {
  /** @throws AppError only when the delivery is lost: then somebody else gets the event. */
  (event: CloudEvent, delivery: Delivery): Promise<void>;
  /** Dead-letters the event and tells its client 502. */
  giveUp(event: CloudEvent, delivery: Delivery, failure: Failure): Promise<void>;
};

/** Creates the {@link HandleEvent} of one service. */
export function createHandleEvent({
  service,
  handlers,
  publisher,
  publishReply,
  log,
}: {
  service: string;
  handlers: Record<string, Handler | HandlerWithOptions>;
  publisher: Publisher;
  publishReply: PublishReply;
  log: Logger;
}): HandleEvent {
  const byType = new Map(Object.entries(handlers).map(([type, handler]) => [type, withDefaults(handler)]));

  async function handleEvent(event: CloudEvent, delivery: Delivery): Promise<void> {
    const startedMs = performance.now();
    const outcome = await attempt(event, delivery);
    const attributes = { tier: 'listener', type: byType.has(event.type) ? event.type : '_OTHER', outcome };
    eventsCounter.add(1, attributes);
    eventDuration.record((performance.now() - startedMs) / 1000, attributes);
    log.debug({ event_id: event.id, event_type: event.type, outcome }, 'event handled');
  }

  async function attempt(event: CloudEvent, delivery: Delivery): Promise<string> {
    if (Date.now() >= expiryMs(event)) return 'expired';
    const label = byType.has(event.type) ? event.type : '_OTHER';
    try {
      await withTrace({ event, label, queue: delivery.queue }, (span) => runHandler(event, delivery, span));
      return 'handled';
    } catch (error) {
      if (delivery.signal.aborted) throw error;
      return await onFailure(event, delivery, error as Error);
    }
  }

  async function runHandler(event: CloudEvent, delivery: Delivery, span: EventSpan): Promise<void> {
    const handler = byType.get(event.type);
    if (!handler) throw new NoHandlerError(event.type);
    const attempt = attemptsOf(delivery) + 1;
    const timeoutMs = Math.min(handler.timeoutMs, Math.max(1, expiryMs(event) - Date.now()));
    const result = await withDeadline(
      async (signal) => handler.handle(event, { signal, attempt, log: childLog(event) }),
      { timeoutMs, signal: delivery.signal },
    );
    await publishResult(result ?? {}, { event, service, span }, delivery);
  }

  async function publishResult(
    { reply, events = [] }: HandlerResult,
    maker: Maker,
    delivery: Delivery,
  ): Promise<void> {
    const { event } = maker;
    if (!reply && event.replyto)
      throw new TerminalError('no-reply', `the handler of ${event.type} made no reply`);
    // All are made before any is published, so that a malformed one fails the event and not half of it.
    const encodedReply = reply && makeEvent(reply, maker, 'reply');
    const encodedEvents = events.map((newEvent) => makeEvent(newEvent, maker, 'event'));
    for (const encoded of encodedEvents) {
      const message = {
        exchange: EVENTS_EXCHANGE,
        routingKey: encoded.event.type,
        ...encodeMessage([encoded]),
      };
      await publishUntilConfirmed(publisher, message, delivery.signal);
    }
    if (encodedReply && event.replyto) await publishReply(encodedReply);
  }

  async function onFailure(event: CloudEvent, delivery: Delivery, error: Error): Promise<string> {
    const failedAttempts = attemptsOf(delivery) + 1;
    const maxAttempts = byType.get(event.type)?.maxAttempts ?? DEFAULT_MAX_ATTEMPTS;
    const isLast =
      error instanceof TerminalError ||
      failedAttempts >= maxAttempts ||
      Date.now() + retryDelayMs(failedAttempts) >= expiryMs(event);
    const fields = { event_id: event.id, event_type: event.type, attempt: failedAttempts, err: error };
    log.warn(fields, isLast ? 'event failed and is given up' : 'event failed and will be retried');
    if (!isLast) {
      await retryLater({ publisher, service, event, delivery, failedAttempts });
      return 'retried';
    }
    const reason = error instanceof NoHandlerError ? 'no-handler' : 'handler-failed';
    await giveUp(event, delivery, { reason, error: { code: codeOf(error), message: error.message } }, error);
    return reason;
  }

  async function giveUp(
    event: CloudEvent,
    delivery: Delivery,
    { reason, error }: Failure,
    cause?: Error,
  ): Promise<void> {
    await deadLetter({ publisher, delivery, event, reason, attempts: attemptsOf(delivery) + 1, error });
    if (!event.replyto) return;
    // Only a TerminalError's message was written for a client's eyes.
    const detail = cause instanceof TerminalError ? error.message : undefined;
    await publishReply(makeProblem({ event, service, reason, code: error.code, detail }));
  }

  function childLog(event: CloudEvent): Logger {
    return log.child({ event_id: event.id, event_type: event.type });
  }

  return Object.assign(handleEvent, { giveUp });
}

/** The type is bound to the service's queue by another version of it. Retried: a rolling deploy may be under way. */
class NoHandlerError extends Error {
  readonly code = 'no-handler';

  constructor(type: string) {
    super(`no handler takes ${type}`);
    this.name = 'NoHandlerError';
  }
}

function withDefaults(handler: Handler | HandlerWithOptions): Required<HandlerWithOptions> {
  const options = typeof handler === 'function' ? { handle: handler } : handler;
  return { maxAttempts: DEFAULT_MAX_ATTEMPTS, timeoutMs: DEFAULT_TIMEOUT_MS, ...options };
}

function codeOf(error: Error): string {
  return String((error as { code?: unknown }).code ?? error.name);
}
