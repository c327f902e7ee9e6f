/**
 * One event: through its handler, and on to whatever follows from it. When this is done, all that the event led to
 * (reply, further events, a retry, a dead letter) is confirmed by the broker.
 */
import type { Publisher } from '@waybill/common/broker/ports.ts';
import type { PublishObserved } from '@waybill/common/broker/publish-observed.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { Logger } from 'pino';
import { createDeadLetter } from './dead-letter.ts';
import type { DeliveredEvent } from './delivered-event.ts';
import { publishCopies, toFurther } from './further-event.ts';
import type { GiveUp } from './give-up.ts';
import { createHandOn } from './hand-on.ts';
import {
  type EventWith,
  type FurtherEvent,
  type Handler,
  type HandlerResult,
  type Handlers,
  type HandlerWithOptions,
  TerminalError,
} from './handler.ts';
import { withDefaults } from './handler-options.ts';
import { failedAttemptsOf } from './headers.ts';
import { withHopLimit } from './hops.ts';
import { noHandler } from './no-handler.ts';
import { Problem } from './problem.ts';
import { publishEvents } from './publish-events.ts';
import type { PublishReply } from './publish-reply.ts';
import { createRefusal } from './refusal.ts';
import type { Requests } from './requests.ts';
import { createRetry } from './retry.ts';
import type { Step, StepContext, Work } from './step.ts';
import { withDeadline } from './with-deadline.ts';
import { forgiveExpired, withExpiry } from './with-expiry.ts';
import { withFailure } from './with-failure.ts';
import { withOrder } from './with-order.ts';
import { withPublishedResult } from './with-published-result.ts';
import { withRecord } from './with-record.ts';
import { withSchema } from './with-schema.ts';
import { withTrace } from './with-trace.ts';

/**
 * Handles one event of a delivery. What it resolves with nobody needs.
 *
 * @throws AppError only when the delivery is lost, or the broker does not take what follows from the event: then somebody
 *   else gets it.
 */
export type HandleEvent = (delivered: DeliveredEvent) => Promise<unknown>;

export type HandleEventOptions = {
  service: string;
  handlers: Handlers;
  publisher: Publisher;
  publishReply: PublishReply;
  publishObserved: PublishObserved;
  requests: Pick<Requests, 'of'>;
  giveUp: GiveUp;
  /** Of what handlers make (default 256 KiB). */
  maxEventBytes?: number | undefined;
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

  return (delivered) => {
    const { event, delivery } = delivered;
    return (byType.get(event.type) ?? otherwise)(event, {
      delivered,
      signal: delivery.signal,
      stopping,
      attempt: failedAttemptsOf(delivery) + 1,
      log: log.child({ event_id: event.id, event_type: event.type }),
    });
  };
}

/** The way of an event, from the handler outwards: each step wraps the one above it, and what failed meets the remedies in turn. */
function stepsOf(label: string, handler: Handler | HandlerWithOptions, options: HandleEventOptions): Step {
  const { service, publisher, publishReply, publishObserved, giveUp, maxEventBytes } = options;
  const { handle, schema, maxAttempts, timeoutMs, ordered } = withDefaults(handler);
  const called = call(handle, options);
  const validated = withSchema(called, { schema });
  const limited = withHopLimit(validated);
  const ended = withDeadline(limited, { timeoutMs });
  const published = withPublishedResult(ended, {
    ...{ service, publisher, publishReply, publishObserved, maxEventBytes },
  });
  const mended = withFailure(published, {
    remedies: [
      forgiveExpired,
      createRetry({ service, publisher, publishReply, maxAttempts }),
      createHandOn({ service, publisher, maxAttempts }),
      createRefusal({ service, publishReply, maxEventBytes }),
      createDeadLetter({ giveUp }),
    ],
  });
  const wanted = withExpiry(mended);
  const inOrder = ordered ? withOrder(wanted, { service, publisher }) : wanted;
  const recorded = withRecord(inOrder, { label });
  return withTrace(recorded, { label });
}

/** With a copy, because what the handler may change of its event is read here afterwards. */
function call(
  handle: HandlerWithOptions['handle'],
  options: HandleEventOptions,
): Work<HandlerResult | undefined> {
  return (event, context) => {
    const { signal, stopping, attempt, log } = context;
    const request = options.requests.of(event, context);
    const publish = (further: FurtherEvent) => publishNow(further, { event, context, ...options });
    const given = { signal, stopping, attempt, log, request, publish };
    const handled = handle({ ...event } as EventWith<unknown>, given);
    // As a promise of ours: what its own `then` returns may be one that no step waits for.
    return isThenable(handled) ? Promise.resolve(handled).then(toResult) : toResult(handled);
  };
}

/** Of whichever library the promise is. */
function isThenable(value: unknown): value is Promise<Awaited<ReturnType<Handler>>> {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === 'function';
}

function toResult(handled: Awaited<ReturnType<Handler>>): HandlerResult | undefined {
  if (handled instanceof Problem) throw handled;
  return handled ?? undefined;
}

async function publishNow(
  furtherEvent: FurtherEvent,
  {
    event,
    context: { span, signal },
    service,
    publisher,
    publishObserved,
    maxEventBytes,
  }: { event: CloudEvent; context: StepContext } & HandleEventOptions,
): Promise<void> {
  if (furtherEvent.reply === 'later')
    throw new TerminalError(
      'invalid-event',
      "only an event of the result can leave the answer to others ('later')",
    );
  const further = [toFurther(furtherEvent, { event, service, span, maxEventBytes })];
  void publishCopies(further, publishObserved, signal);
  await publishEvents(publisher, further, signal);
}
