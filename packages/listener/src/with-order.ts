import { partitionOf } from '@waybill/common/broker/partitions.ts';
import type { Publisher } from '@waybill/common/broker/ports.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import { encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { originalOf } from './delivered-event.ts';
import type { Step } from './step.ts';

/**
 * Sends an event with a key that came by the work queue on to its partition: whoever published it did not know of
 * partitions, or took the type for one without order.
 */
export function withOrder(
  next: Step,
  { service, publisher }: { service: string; publisher: Publisher },
): Step {
  return async (event, context) => {
    const { delivered, signal } = context;
    const partition = partitionOf(event);
    if (partition === undefined || 'partition' in delivered.delivery.from) return next(event, context);
    const message = encodeMessage([encodeEvent(originalOf(delivered))]);
    await publishUntilConfirmed(publisher, { to: { service, partition }, ...message }, signal);
    return { name: 'partitioned' };
  };
}
