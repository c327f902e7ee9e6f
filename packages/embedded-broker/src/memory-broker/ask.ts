import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Broker, OutgoingMessage, Publisher } from '@waybill/common/broker/ports.ts';
import { createPublishObserved, type PublishObserved } from '@waybill/common/broker/publish-observed.ts';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { decodeMessage, encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';

/** Turns of the event loop within which the consumer of the event has subscribed. */
const MAX_TURNS = 100;
const SILENT = { info() {}, warn() {} };

/**
 * Publishes an event as a dispatcher does for a client, and resolves with the reply to it, once there is one. What is not
 * given of the event is made up.
 *
 * @throws AppError `unroutable` when nobody takes its type.
 */
export type Ask = (event: Partial<CloudEvent> & { type: string }) => Promise<CloudEvent>;

/** Creates an {@link Ask}, which takes all replies from when it is first used. */
export function createAsk(connect: () => Pick<Broker, 'publisher' | 'subscriber'>): Ask {
  const waiting = new Map<unknown, (reply: CloudEvent) => void>();
  let ports: { publisher: Publisher; publishObserved: PublishObserved } | undefined;

  function open(): NonNullable<typeof ports> {
    const { publisher, subscriber } = connect();
    subscriber.subscribe({
      from: { replies: true },
      prefetch: 1_000,
      onDelivery(delivery) {
        for (const reply of decodeMessage(delivery)) waiting.get(reply.correlationid)?.(reply);
        delivery.ack();
      },
    });
    return { publisher, publishObserved: createPublishObserved({ publisher, log: SILENT }) };
  }

  return async (given) => {
    ports ??= open();
    const correlationid = randomUUID();
    const { promise: replied, resolve } = Promise.withResolvers<CloudEvent>();
    const event: CloudEvent = {
      ...{ specversion: '1.0', id: randomUUID(), source: '/ask', replyto: 'ask' },
      ...given,
      correlationid,
    };
    waiting.set(correlationid, resolve);
    try {
      const message = encodeMessage([encodeEvent(event)]);
      await publish(ports.publisher, { to: { type: event.type }, ...message });
      await ports.publishObserved(event.type, message);
      return await replied;
    } finally {
      waiting.delete(correlationid);
    }
  };
}

async function publish(
  publisher: Publisher,
  message: OutgoingMessage & { to: { type: string } },
): Promise<void> {
  for (let turn = 0; turn < MAX_TURNS; turn += 1) {
    if ((await publisher.publish(message)) === 'confirmed') return;
    await nextTurn();
  }
  throw new AppError('unroutable', `nobody takes ${message.to.type}`);
}
