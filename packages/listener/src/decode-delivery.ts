import { deadLetter } from '@waybill/common/broker/dead-letter.ts';
import type { Delivery, Publisher } from '@waybill/common/broker/ports.ts';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { decodeMessage } from '@waybill/common/event/event-json.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import type { Logger } from 'pino';

/** The events of a delivery, at once; or none, later, when one that holds none is dead-lettered as it came. */
export type DecodeDelivery = (delivery: Delivery) => CloudEvent[] | Promise<never[]>;

/** Creates {@link DecodeDelivery}. */
export function createDecodeDelivery({
  publisher,
  log,
}: {
  publisher: Publisher;
  log: Logger;
}): DecodeDelivery {
  return (delivery) => {
    try {
      const events = decodeMessage(delivery, { roundsNumbers: true });
      if (events.length === 0) throw new AppError('invalid-request', 'the batch holds no events');
      return events;
    } catch (thrown) {
      return giveUpRaw(delivery, thrown);
    }
  };

  async function giveUpRaw(delivery: Delivery, thrown: unknown): Promise<never[]> {
    const error = toPublicError(thrown, log);
    log.warn({ reason: error.message }, 'message without events dead-lettered');
    await deadLetter({ publisher, delivery, reason: 'unparsable', error });
    return [];
  }
}
