/**
 * One event: through its handler, and on to whatever follows from it. When this is done, all that the event led to
 * (reply, further events, a retry, a dead letter) is confirmed by the broker.
 */
import type { Publisher } from '@waybill/common/broker/ports.ts';
import type { PublishObserved } from '@waybill/common/broker/publish-observed.ts';
import type { Logger } from 'pino';
import type { DeliveredEvent } from './delivered-event.ts';
import type { GiveUp } from './give-up.ts';
import type { EventWith, Handler, HandlerResult, Handlers, HandlerWithOptions } from './handler.ts';
import { withDefaults } from './handler-options.ts';
import { failedAttemptsOf } from './headers.ts';
import { withHopLimit } from './hops.ts';
import { noHandler } from './no-handler.ts';
import { Problem } from './problem.ts';
import type { PublishReply } from './publish-reply.ts';
import type { Step } from './step.ts';
import { withDeadLetter } from './with-dead-letter.ts';
import { withDeadline } from './with-deadline.ts';
import { withExpiry } from './with-expiry.ts';
import { withFailure } from './with-failure.ts';
import { withHandOn } from './with-hand-on.ts';
import { withPublishedResult } from './with-published-result.ts';
import { withRecord } from './with-record.ts';
import { withRefusal } from './with-refusal.ts';
import { withRetry } from './with-retry.ts';
import { withSchema } from './with-schema.ts';
import { withTrace } from './with-trace.ts';

/**
 * Handles one event of a delivery.
 *
 * @throws AppError only when the delivery is lost, or the broker does not take what follows from the event: then somebody
 *   else gets it.
 */
export type HandleEvent = (delivered: DeliveredEvent) => Promise<void>;

export type HandleEventOptions = {
  service: string;
  handlers: Handlers;
  publisher: Publisher;
  publishReply: PublishReply;
  publishObserved: PublishObserved;
  giveUp: GiveUp;
  /** Aborts when the process is asked to stop. */
  stopping: AbortSignal;
  log: Logger;
};

/** Creates the {@link HandleEvent} of one service. */
export function createHandleEvent(options: HandleEventOptions): HandleEvent {
  const { handlers, stopping, log } = options;
  const entries = Object.entries(handlers);
  const byType = new Map(entries.map(([type, handler]) => [type, stepsOf(type, handler, options)]));
  const otherwise = stepsOf('_OTHER', noHandler, options);

  return async (delivered) => {
    const { event, delivery } = delivered;
    await (byType.get(event.type) ?? otherwise)(event, {
      delivered,
      signal: delivery.signal,
      stopping,
      attempt: failedAttemptsOf(delivery) + 1,
      log: log.child({ event_id: event.id, event_type: event.type }),
    });
  };
}

/** The way of an event, from the handler outwards: each step wraps the one above it. */
function stepsOf(
  label: string,
  handler: Handler | HandlerWithOptions,
  { service, publisher, publishReply, publishObserved, giveUp }: HandleEventOptions,
): Step {
  const { handle, schema, maxAttempts, timeoutMs } = withDefaults(handler);
  const called = call(handle);
  const validated = withSchema(called, { schema });
  const limited = withHopLimit(validated);
  const ended = withDeadline(limited, { timeoutMs });
  const published = withPublishedResult(ended, { service, publisher, publishReply, publishObserved });
  const caught = withFailure(published);
  const wanted = withExpiry(caught);
  const retried = withRetry(wanted, { service, publisher, maxAttempts });
  const handedOn = withHandOn(retried, { service, publisher, maxAttempts });
  const refused = withRefusal(handedOn, { service, publishReply });
  const givenUp = withDeadLetter(refused, { giveUp });
  const recorded = withRecord(givenUp, { label });
  return withTrace(recorded, { label });
}

/** A copy, because what the handler may change of its event is read here afterwards. */
function call(handle: HandlerWithOptions['handle']): Step<HandlerResult | undefined> {
  return async (event, { signal, stopping, attempt, log }) => {
    const result = await handle({ ...event } as EventWith<unknown>, { signal, stopping, attempt, log });
    if (result instanceof Problem) throw result;
    return result ?? undefined;
  };
}
