/**
 * One event: through its handler, and on to whatever follows from it. When this is done, all that the event led to
 * (reply, further events, a retry, a dead letter) is confirmed by the broker.
 */
import type { DeadLetterReason } from '@waybill/common/broker/dead-letter.ts';
import type { Delivery, Destination, OutgoingMessage, Publisher } from '@waybill/common/broker/ports.ts';
import { AppError, toAppError } from '@waybill/common/errors.ts';
import { type CloudEvent, expiryMs } from '@waybill/common/event/event.ts';
import { encodeMessage } from '@waybill/common/event/event-json.ts';
import { eventDuration, events as eventsCounter } from '@waybill/common/telemetry/metrics.ts';
import type { EventSpan } from '@waybill/common/telemetry/tracing.ts';
import type { Logger } from 'pino';
import { type DeliveredEvent, originalOf } from './delivered-event.ts';
import type { GiveUp } from './give-up.ts';
import type { HandOn } from './hand-on.ts';
import { type FurtherEvent, type HandlerResult, type Handlers, TerminalError } from './handler.ts';
import { DEFAULT_MAX_ATTEMPTS, withDefaults } from './handler-options.ts';
import { failedAttemptsOf } from './headers.ts';
import { assertHops, hopsAfter, TooManyHopsError } from './hops.ts';
import { type Maker, makeEvent } from './make-event.ts';
import { publishEvents } from './publish-events.ts';
import type { PublishReply } from './publish-reply.ts';
import { retryDelayMs, retryLater } from './retry.ts';
import { withDeadline } from './with-deadline.ts';
import { type Outcome, withTrace } from './with-trace.ts';

/** What becomes of an event whose handler made a result: its reply may come too late. */
type Success = 'handled' | 'expired';

/**
 * Handles one event of a delivery.
 *
 * @throws AppError only when the delivery is lost: then somebody else gets the event.
 */
export type HandleEvent = (delivered: DeliveredEvent) => Promise<void>;

/** Creates the {@link HandleEvent} of one service. */
export function createHandleEvent({
  service,
  handlers,
  publisher,
  publishReply,
  giveUp,
  handOn,
  stopping,
  log,
}: {
  service: string;
  handlers: Handlers;
  publisher: Publisher;
  publishReply: PublishReply;
  giveUp: GiveUp;
  handOn: HandOn;
  /** Aborts when the process is asked to stop. */
  stopping: AbortSignal;
  log: Logger;
}): HandleEvent {
  const byType = new Map(Object.entries(handlers).map(([type, handler]) => [type, withDefaults(handler)]));

  async function handleEvent(delivered: DeliveredEvent): Promise<void> {
    const { event, delivery, batchSize } = delivered;
    const startedMs = performance.now();
    const label = byType.has(event.type) ? event.type : '_OTHER';
    const { name } = await withTrace({ event, label, delivery, batchSize }, async (span) => {
      const outcome = await attempt(delivered, span);
      log.debug({ event_id: event.id, event_type: event.type, outcome: outcome.name }, 'event handled');
      return outcome;
    });
    const attributes = { tier: 'listener', type: label, outcome: name };
    eventsCounter.add(1, attributes);
    eventDuration.record((performance.now() - startedMs) / 1000, attributes);
  }

  async function attempt(delivered: DeliveredEvent, span: EventSpan): Promise<Outcome> {
    const { event, delivery } = delivered;
    if (Date.now() >= expiryMs(event)) return { name: 'expired' };
    try {
      return { name: await runHandler(event, delivery, span) };
    } catch (thrown) {
      if (delivery.signal.aborted) throw toAppError(thrown);
      return await onFailure(delivered, toError(thrown));
    }
  }

  async function runHandler(event: CloudEvent, delivery: Delivery, span: EventSpan): Promise<Success> {
    const handler = byType.get(event.type);
    if (!handler) throw new NoHandlerError(event.type);
    assertHops(event);
    const attempt = failedAttemptsOf(delivery) + 1;
    const timeoutMs = Math.min(handler.timeoutMs, Math.max(1, expiryMs(event) - Date.now()));
    const result = await withDeadline(
      // A copy, because what it may change of it is read here afterwards.
      async (signal) => handler.handle({ ...event }, { signal, stopping, attempt, log: childLog(event) }),
      { timeoutMs, signal: delivery.signal },
    );
    return await publishResult(result ?? {}, { event, service, span }, delivery);
  }

  async function publishResult(
    { reply, events = [], onConfirmed }: HandlerResult,
    maker: Maker,
    delivery: Delivery,
  ): Promise<Success> {
    const { event } = maker;
    if (!reply && event.replyto)
      throw new TerminalError('no-reply', `the handler of ${event.type} made no reply`);
    // All are made before any is published, so that a malformed one fails the event and not half of it.
    const encodedReply = reply && makeEvent(reply, maker, 'reply');
    const messages = events.map((furtherEvent) => toMessage(furtherEvent, maker));
    await publishEvents(publisher, messages, delivery.signal);
    if (encodedReply && event.replyto && (await publishReply(encodedReply)) === 'expired') return 'expired';
    tellConfirmed(event, onConfirmed);
    return 'handled';
  }

  /** All is done by then: another attempt would do it again. */
  function tellConfirmed(event: CloudEvent, onConfirmed: HandlerResult['onConfirmed']): void {
    try {
      onConfirmed?.();
    } catch (error) {
      childLog(event).error({ err: error }, 'onConfirmed failed');
    }
  }

  function toMessage({ delayMs, isContinuation, ...newEvent }: FurtherEvent, maker: Maker): OutgoingMessage {
    const hops = hopsAfter(maker.event, { isContinuation });
    const encoded = makeEvent(newEvent, { ...maker, hops }, 'event');
    return { to: destinationOf(encoded.event.type, delayMs), ...encodeMessage([encoded]) };
  }

  function destinationOf(type: string, delayMs: FurtherEvent['delayMs']): Destination {
    return delayMs === undefined ? { type } : { service, delayMs };
  }

  async function onFailure(delivered: DeliveredEvent, thrown: Error): Promise<Outcome> {
    const { event, delivery, crashes } = delivered;
    const failedAttempts = failedAttemptsOf(delivery) + 1;
    if (isPastDeadline(thrown, event)) return { name: 'expired', error: describe(thrown) };
    const isTerminal = thrown instanceof TerminalError;
    const maxAttempts = byType.get(event.type)?.maxAttempts ?? DEFAULT_MAX_ATTEMPTS;
    const isLast =
      isTerminal ||
      (thrown instanceof AppError && thrown.kind === 'terminal') ||
      failedAttempts >= maxAttempts ||
      Date.now() + retryDelayMs(failedAttempts) >= expiryMs(event);
    const fields = { event_id: event.id, event_type: event.type, attempt: failedAttempts, err: thrown };
    log.warn(fields, isLast ? 'event failed and is given up' : 'event failed and will be retried');
    const error = describe(thrown);
    if (!isLast) {
      await retryLater({
        publisher,
        service,
        event: originalOf(delivered),
        delivery,
        crashes,
        failedAttempts,
      });
      return { name: 'retried', error };
    }
    const reason = reasonOf(thrown);
    if (reason === 'no-handler' && (await handOn(originalOf(delivered), delivery)))
      return { name: 'handed-on' };
    // Only a TerminalError's message was written for a client's eyes.
    await giveUp(originalOf(delivered), delivery, {
      reason,
      error,
      detail: isTerminal ? String(thrown.message) : undefined,
    });
    return { name: reason, error };
  }

  function childLog(event: CloudEvent): Logger {
    return log.child({ event_id: event.id, event_type: event.type });
  }

  return handleEvent;
}

/** The type is bound to the service's queue by another version of it. Retried: a rolling deploy may be under way. */
class NoHandlerError extends Error {
  readonly code = 'no-handler';

  constructor(type: string) {
    super(`no handler takes ${type}`);
    this.name = 'NoHandlerError';
  }
}

function reasonOf(error: Error): DeadLetterReason {
  if (error instanceof NoHandlerError) return 'no-handler';
  return error instanceof TooManyHopsError ? 'too-many-hops' : 'handler-failed';
}

/** Nobody waits for it any more, and nothing says that the event is at fault: a client may have allowed it no time. */
function isPastDeadline(error: Error, event: CloudEvent): boolean {
  const isLate = error instanceof AppError && error.code === 'handler-timeout';
  return isLate && Date.now() >= expiryMs(event);
}

/** A handler may throw anything at all: what is no error, or cannot be read, becomes one of ours. */
function toError(thrown: unknown): Error {
  try {
    if (thrown instanceof Error) {
      describe(thrown);
      return thrown;
    }
  } catch {}
  return toAppError(thrown);
}

/** For the dead letter's reader, who has no log at hand: with the message of the cause. */
function describe(error: Error): { code: string; message: string } {
  const code = (error as { code?: unknown }).code ?? error.name;
  const message = String(error.message);
  const why = error.cause instanceof Error ? error.cause.message : '';
  return { code: String(code), message: message.endsWith(why) ? message : `${message}: ${why}` };
}
