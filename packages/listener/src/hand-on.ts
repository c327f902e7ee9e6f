import type { Publisher } from '@waybill/common/broker/ports.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import { isObservers } from '@waybill/common/broker/topology.ts';
import { AppError } from '@waybill/common/errors.ts';
import { encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { originalOf } from './delivered-event.ts';
import { HANDED_ON_BY_HEADER, isHandedOn } from './headers.ts';
import { NoHandlerError } from './no-handler.ts';
import type { Remedy, StepContext } from './step.ts';

/**
 * Deals with an event whose type no instance of the service took in all its attempts: the type has moved to another
 * service, or is gone, and only the binding is left. It is removed (an instance that does take the type binds it again
 * within 2 s), and the event goes to the service that takes the type now, if there is one.
 *
 * What a service no longer observes goes to nobody: the service that answers the type has the event itself.
 *
 * An event whose deadline left no time for all of them says nothing about the type: in a rolling deploy it may have met
 * old instances only, and any client may allow little time.
 */
export function createHandOn({
  service,
  publisher,
  maxAttempts,
}: {
  service: string;
  publisher: Publisher;
  maxAttempts: number;
}): Remedy {
  return async (failed, event, context) => {
    const isUnhandled = failed.failure instanceof NoHandlerError && context.attempt >= maxAttempts;
    if (!isUnhandled || isHandedOn(context.delivered.delivery)) return failed;
    await unbind(event.type, context);
    if (isObservers(service)) return failed;
    return (await handOn(event.type, context)) ? { name: 'handed-on' } : failed;
  };

  /** The broker may be away: then the next such event removes it. */
  async function unbind(type: string, { log }: StepContext): Promise<void> {
    try {
      await publisher.unbind({ service, type });
      log.warn('no longer bound to a type that no handler takes');
    } catch (error) {
      log.warn({ err: error }, 'still bound to a type that no handler takes');
    }
  }

  /** False only when it is certain that nobody has it: else its client would be told 502 for what is handled. */
  async function handOn(type: string, { delivered, signal }: StepContext): Promise<boolean> {
    const message = encodeMessage([encodeEvent(originalOf(delivered))]);
    const headers = { [HANDED_ON_BY_HEADER]: service };
    try {
      await publishUntilConfirmed(publisher, { to: { type }, headers, ...message }, signal);
      return true;
    } catch (error) {
      if (isUnroutable(error)) return false;
      throw error;
    }
  }
}

function isUnroutable(error: unknown): boolean {
  return error instanceof AppError && error.code === 'unroutable';
}
