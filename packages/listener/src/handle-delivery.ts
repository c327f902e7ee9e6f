/**
 * One message from the broker: its events are handled, and then, here and nowhere else, it is acked.
 *
 * | the delivery | what happens |
 * |---|---|
 * | holds no events | dead-lettered raw, acked |
 * | was delivered twice before, unacked | a process that held it died: each of its events goes, alone, to the isolated queue; acked |
 * | is from the isolated queue, with 5 crashes | dead-lettered `listener-crashed`, its client told 502; acked |
 * | is from the isolated queue | its event is handled, and no other is started meanwhile; acked as below |
 * | else | each event is handled; acked when what each produced is confirmed |
 *
 * Innocent events share a prefetch with guilty ones and count up with them, so what they suffered together counts for
 * two crashes at the most, and only a death in isolation weighs on its own.
 *
 * When its channel closes meanwhile nothing is acked, and the broker delivers it again.
 */
import { deadLetter } from '@waybill/common/broker/dead-letter.ts';
import type { Delivery, Publisher } from '@waybill/common/broker/ports.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import { serviceQueues } from '@waybill/common/broker/topology.ts';
import { AppError, toAppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event.ts';
import { decodeMessage, encodeEvent, encodeMessage } from '@waybill/common/event-json.ts';
import type { LimitFunction } from 'p-limit';
import type { Logger } from 'pino';
import { originalsOf } from './delivered-event.ts';
import type { GiveUp } from './give-up.ts';
import type { HandleEvent } from './handle-event.ts';
import { crashesOf, earlierCrashesOf, failedAttemptsOf, historyHeaders } from './headers.ts';
import { createIsolation } from './isolation.ts';

/** A delivery that died with its consumer this often is taken apart (design: crashes). */
const ISOLATE_AT = 2;
/** An event on board of this many crashes is given up (design: crashes). */
const MAX_CRASHES = 5;

/** Creates the handler of deliveries; it never rejects. */
export function createHandleDelivery({
  service,
  publisher,
  handleEvent,
  giveUp,
  limit,
  log,
}: {
  service: string;
  publisher: Publisher;
  handleEvent: HandleEvent;
  giveUp: GiveUp;
  /** Bounds the events handled at once. */
  limit: LimitFunction;
  log: Logger;
}): (delivery: Delivery) => Promise<void> {
  const queues = serviceQueues(service);
  const isolation = createIsolation();

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
    if (events.length === 0) return;
    const crashes = crashesOf(delivery);
    const isIsolated = delivery.queue === queues.isolated;
    const run = (event: CloudEvent, index: number) => () =>
      handleEvent({ event, index, delivery, batchSize: events.length });
    if (isIsolated && crashes >= MAX_CRASHES) await giveUpAll(crashes, delivery);
    else if (!isIsolated && crashes >= ISOLATE_AT) await isolation.move(isolate(crashes, delivery));
    else await Promise.all(events.map((event, index) => limit(() => start(run(event, index), isIsolated))));
  }

  async function start(run: () => Promise<void>, isIsolated: boolean): Promise<void> {
    if (isIsolated) return isolation.runAlone(run);
    await isolation.whenNoneRuns();
    await run();
  }

  async function decode(delivery: Delivery): Promise<CloudEvent[]> {
    try {
      const events = decodeMessage(delivery, { roundsNumbers: true });
      if (events.length === 0) throw new AppError('invalid-request', 'the batch holds no events');
      return events;
    } catch (thrown) {
      const error = toAppError(thrown);
      log.warn({ reason: error.message }, 'message without events dead-lettered');
      await deadLetter({ publisher, delivery, reason: 'unparsable', error });
      return [];
    }
  }

  async function isolate(crashes: number, delivery: Delivery): Promise<void> {
    const events = originalsOf(delivery);
    log.warn({ crashes, event_ids: events.map(({ id }) => id) }, 'isolated after repeated crashes');
    const headers = historyHeaders({
      failedAttempts: failedAttemptsOf(delivery),
      crashes: Math.max(ISOLATE_AT, earlierCrashesOf(delivery)),
    });
    const messages = events.map((event) => ({
      exchange: '',
      routingKey: queues.isolated,
      headers,
      ...encodeMessage([encodeEvent(event)]),
    }));
    await Promise.all(messages.map((message) => publishUntilConfirmed(publisher, message, delivery.signal)));
  }

  async function giveUpAll(crashes: number, delivery: Delivery): Promise<void> {
    const message = `${crashes} processes died, or lost their connection, while they held this event`;
    const error = { code: 'listener-crashed', message };
    for (const event of originalsOf(delivery))
      await giveUp(event, delivery, { reason: 'listener-crashed', error });
  }
}
