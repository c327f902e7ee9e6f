import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Delivery, Publisher, Subscriber } from '@waybill/common/broker/ports.ts';
import { EVENT_CONTENT_TYPE } from '@waybill/common/event-json.ts';
import { createReplyAddressVerifier } from '@waybill/common/reply-address.ts';
import { pino } from 'pino';
import { addressOf, keys, newReplies } from './dispatcher.fixture.ts';
import { consumeReplies } from './replies.ts';

/** Ports that hand over one reply and never confirm anything, as a broker that blocks publishers. */
function blockedBroker() {
  const calls: string[] = [];
  let publishing: () => void;
  const published = new Promise<void>((resolve) => {
    publishing = resolve;
  });
  const [reply] = newReplies(addressOf('http://127.0.0.1:9/dispatch', 'x'));
  const delivery = {
    body: Buffer.from(JSON.stringify(reply)),
    contentType: EVENT_CONTENT_TYPE,
    signal: new AbortController().signal,
    ack: () => calls.push('ack'),
    requeue: () => calls.push('requeue'),
  } as unknown as Delivery;
  const subscriber = {
    subscribe({ onDelivery }: Parameters<Subscriber['subscribe']>[0]) {
      onDelivery(delivery);
      return { isActive: () => true, cancel: async () => void calls.push('cancel') };
    },
  } as Subscriber;
  const publisher = {
    async publish() {
      publishing();
      return 'not-accepted';
    },
  } as unknown as Publisher;
  return { calls, published, subscriber, publisher };
}

it('a drain gives up on what the broker does not confirm, and leaves it unacked for another dispatcher', async (t) => {
  const { calls, published, subscriber, publisher } = blockedBroker();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const replies = consumeReplies({
    subscriber,
    publisher,
    callback: { deliver: async () => 'failing', close: async () => {} },
    replyAddresses: createReplyAddressVerifier({ keys: keys.replyAddress }),
    log: pino({ level: 'silent' }),
  });
  await published;
  const drained = replies.drain();
  await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(6_000);
  await drained;
  assert.deepEqual(calls, ['cancel']);
});
