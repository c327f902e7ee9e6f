/**
 * The shape of all that is done around a handler: a step takes an event and its context, and is wrapped by the next.
 * `handle-event.ts` has their order.
 *
 * What a step returns is a value, a failure included. A step throws only when nothing can be done any more for the
 * event here (its delivery is lost, or the broker does not take what follows from it), and no other step catches that.
 */
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { EventSpan } from '@waybill/common/telemetry/tracing.ts';
import type { DeliveredEvent } from './delivered-event.ts';
import type { HandlerContext } from './handler.ts';

/** What a handler is given, and what the framework needs besides. */
export type StepContext = Omit<HandlerContext, 'request' | 'publish'> & {
  delivered: DeliveredEvent;
  /** The event's span here, once it has one. */
  span?: EventSpan;
};

export type Step = (event: CloudEvent, context: StepContext) => Promise<Outcome>;

/** What the innermost step does with an event, and what is done just around that: as a handler, it may be over when it returns. */
export type Work<T> = (event: CloudEvent, context: StepContext) => Promise<T> | T;

/** How an event fared in this service. */
export type Outcome = {
  /** What it is counted as. */
  name: string;
  /** What is still to be dealt with, by a {@link Remedy}. */
  failure?: Error;
  /** The error of its span, if any. */
  error?: { code: string; message: string };
};

/** An outcome that is still to be dealt with. */
export type Failed = Outcome & { failure: Error };

/**
 * What may be done about a failure. Resolves with an outcome without one when that is done, and else with one to be dealt with by the
 * next remedy; throws as a {@link Step} does.
 */
export type Remedy = (failed: Failed, event: CloudEvent, context: StepContext) => Promise<Outcome> | Outcome;
