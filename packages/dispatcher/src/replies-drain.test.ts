import assert from 'node:assert/strict';
import { it, type TestContext } from 'node:test';
import type { Delivery, Publisher, Subscriber } from '@waybill/common/broker/ports.ts';
import { EVENT_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { createReplyAddressVerifier } from '@waybill/common/internal-call/reply-address.ts';
import { pino } from 'pino';
import type { Deliverer } from './deliverer.ts';
import { addressOf, keys, newReplies } from './dispatcher.fixture.ts';
import { consumeReplies } from './replies.ts';

/** Ports that hand over one reply and never confirm anything, as a broker that blocks publishers. */
function blockedBroker(t: TestContext) {
  // Ends the attempts to publish, whatever became of the test.
  const lost = new AbortController();
  t.after(() => lost.abort());
  const calls: string[] = [];
  let publishing: () => void;
  const published = new Promise<void>((resolve) => {
    publishing = resolve;
  });
  const [reply] = newReplies(addressOf('http://127.0.0.1:9/dispatch', 'x'));
  const delivery = {
    body: Buffer.from(JSON.stringify(reply)),
    contentType: EVENT_CONTENT_TYPE,
    signal: lost.signal,
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

function startConsuming(
  { subscriber, publisher }: Pick<ReturnType<typeof blockedBroker>, 'subscriber' | 'publisher'>,
  deliver: Deliverer['deliver'],
) {
  return consumeReplies({
    subscriber,
    publisher,
    deliverers: { callback: { deliver, close: async () => {} } },
    replyAddresses: createReplyAddressVerifier({ keys: keys.replyAddress }),
    clock: createClockCheck(),
    log: pino({ level: 'silent' }),
  });
}

it('a drain takes no more, and waits until what is under way is delivered and acked', async (t) => {
  const broker = blockedBroker(t);
  const delivered = Promise.withResolvers<'delivered'>();
  const called = Promise.withResolvers<void>();
  const replies = startConsuming(broker, () => {
    called.resolve();
    return delivered.promise;
  });
  await called.promise;
  const drained = replies.drain();
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(broker.calls, ['cancel']);
  delivered.resolve('delivered');
  await drained;
  assert.deepEqual(broker.calls, ['cancel', 'ack']);
});

it('a drain gives up on what the broker does not confirm, and leaves it unacked for another dispatcher', async (t) => {
  const broker = blockedBroker(t);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const replies = startConsuming(broker, async () => 'failing');
  await broker.published;
  const drained = replies.drain();
  await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(6_000);
  await drained;
  assert.deepEqual(broker.calls, ['cancel']);
});
