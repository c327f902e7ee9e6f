import type { Publisher } from '@waybill/common/broker/ports.ts';
import { encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { originalOf } from './delivered-event.ts';
import { NoHandlerError } from './no-handler.ts';
import type { Step, StepContext } from './step.ts';

/** The service that handed it on: it goes round once at the most. */
const HANDED_ON_BY_HEADER = 'waybill-handed-on-by';

/**
 * Deals with an event whose type no instance of the service took in all its attempts: the type has moved to another
 * service, or is gone, and only the binding is left. It is removed (an instance that does take the type binds it again
 * within 2 s), and the event goes to whoever takes the type now, if anybody does.
 */
export function withHandOn(
  next: Step,
  { service, publisher }: { service: string; publisher: Publisher },
): Step {
  return async (event, context) => {
    const outcome = await next(event, context);
    const isHandedOn = outcome.failure instanceof NoHandlerError && (await handOn(event.type, context));
    return isHandedOn ? { name: 'handed-on' } : outcome;
  };

  async function handOn(type: string, { delivered, log }: StepContext): Promise<boolean> {
    if (HANDED_ON_BY_HEADER in delivered.delivery.headers) return false;
    try {
      await publisher.unbind({ service, type });
    } catch {
      // The broker is away: the next such event removes it.
      return false;
    }
    const message = encodeMessage([encodeEvent(originalOf(delivered))]);
    const headers = { [HANDED_ON_BY_HEADER]: service };
    const outcome = await publisher.publish({ to: { type }, headers, ...message });
    const isHandedOn = outcome === 'confirmed';
    log.warn({ handed_on: isHandedOn }, 'no longer bound to a type that no handler takes');
    return isHandedOn;
  }
}
