/**
 * One message from the broker: its events are handled, and then, here and nowhere else, it is acked.
 *
 * | the delivery | what happens |
 * |---|---|
 * | holds no events | dead-lettered raw, acked |
 * | was delivered twice before, unacked | a process that held it died: each of its events goes, alone, to the isolated queue; acked |
 * | is from the isolated queue, with 5 crashes | dead-lettered `listener-crashed`, its client told 502; acked |
 * | else | each event is handled; acked when what each produced is confirmed |
 *
 * When its channel closes meanwhile nothing is acked, and the broker delivers it again.
 */
import { deadLetter } from '@waybill/common/broker/dead-letter.ts';
import type { Delivery, Publisher } from '@waybill/common/broker/ports.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import { serviceQueues } from '@waybill/common/broker/topology.ts';
import { toAppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event.ts';
import { decodeMessage, encodeEvent, encodeMessage } from '@waybill/common/event-json.ts';
import type { LimitFunction } from 'p-limit';
import type { Logger } from 'pino';
import type { HandleEvent } from './handle-event.ts';
import { attemptsOf, crashesOf, crashHeaders } from './headers.ts';

/** A delivery that died with its consumer this often is taken apart (design: crashes). */
const ISOLATE_AT = 2;
/** An event on board of this many crashes is given up (design: crashes). */
const MAX_CRASHES = 5;

/** Creates the handler of deliveries; it never rejects. */
export function createHandleDelivery({
  service,
  publisher,
  handleEvent,
  limit,
  log,
}: {
  service: string;
  publisher: Publisher;
  handleEvent: HandleEvent;
  /** Bounds the events handled at once. */
  limit: LimitFunction;
  log: Logger;
}): (delivery: Delivery) => Promise<void> {
  const queues = serviceQueues(service);

  return async (delivery) => {
    try {
      await handle(delivery);
      delivery.ack();
    } catch (error) {
      if (delivery.signal.aborted) return;
      log.error({ err: toAppError(error) }, 'delivery not handled');
      delivery.requeue();
    }
  };

  async function handle(delivery: Delivery): Promise<void> {
    const events = await decode(delivery);
    const crashes = crashesOf(delivery);
    const isIsolated = delivery.queue === queues.isolated;
    if (isIsolated && crashes >= MAX_CRASHES) await giveUp(events, crashes, delivery);
    else if (!isIsolated && crashes >= ISOLATE_AT) await isolate(events, crashes, delivery);
    else await Promise.all(events.map((event) => limit(() => handleEvent(event, delivery))));
  }

  async function decode(delivery: Delivery): Promise<CloudEvent[]> {
    try {
      return decodeMessage(delivery);
    } catch (thrown) {
      const error = toAppError(thrown);
      log.warn({ reason: error.message }, 'message without events dead-lettered');
      await deadLetter({ publisher, delivery, reason: 'unparsable', error });
      return [];
    }
  }

  async function isolate(events: CloudEvent[], crashes: number, delivery: Delivery): Promise<void> {
    log.warn({ crashes, event_ids: events.map(({ id }) => id) }, 'isolated after repeated crashes');
    const headers = crashHeaders(crashes, attemptsOf(delivery));
    for (const event of events) {
      const message = {
        exchange: '',
        routingKey: queues.isolated,
        headers,
        ...encodeMessage([encodeEvent(event)]),
      };
      await publishUntilConfirmed(publisher, message, delivery.signal);
    }
  }

  async function giveUp(events: CloudEvent[], crashes: number, delivery: Delivery): Promise<void> {
    const error = {
      code: 'listener-crashed',
      message: `${crashes} processes died while they held this event`,
    };
    for (const event of events)
      await handleEvent.giveUp(event, delivery, { reason: 'listener-crashed', error });
  }
}
