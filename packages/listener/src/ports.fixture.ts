/** Ports of a broker that a test plays itself. */
import { randomUUID } from 'node:crypto';
import type { Delivery, Publisher } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';

/** A publisher that is connected, and does with messages what `publish` does; no service declares anything. */
export function makePublisher(publish: Publisher['publish'], changes: Partial<Publisher> = {}): Publisher {
  return {
    publish,
    isAvailable: () => true,
    isConnected: () => true,
    declare: async () => {},
    unbind: async () => {},
    isDeclared: async () => false,
    describe: () => ({ system: 'test', name: 'T', attributes: {} }),
    close: async () => {},
    ...changes,
  };
}

/** A delivery of `events` from the work queue of the service `svc`, for the first time. */
export function makeDelivery(events: CloudEvent[], changes: Partial<Delivery> = {}): Delivery {
  return {
    ...encodeMessage(events.map(encodeEvent)),
    headers: {},
    from: { work: 'svc' },
    queue: 'waybill.svc',
    routingKey: 'T',
    destination: { system: 'test', name: 'T', attributes: {} },
    messageId: randomUUID(),
    deliveryCount: 0,
    signal: new AbortController().signal,
    ack() {},
    requeue() {},
    ...changes,
  };
}
