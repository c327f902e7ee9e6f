import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Publisher } from '@waybill/common/broker/ports.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { createReplyAddressVerifier } from '@waybill/common/internal-call/reply-address.ts';
import { createMemoryBroker, type MemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { pino } from 'pino';
import type { Deliverer } from './deliverer.ts';
import { addressOf, keys, newReplies, publishReplies } from './dispatcher.fixture.ts';
import { consumeReplies } from './replies.ts';

/** A broker with one reply in it. */
async function brokerWithReply(): Promise<MemoryBroker> {
  const broker = createMemoryBroker({ topology: 'dispatcher' });
  await publishReplies(broker.publisher, newReplies(addressOf('http://127.0.0.1:9/dispatch', 'x')));
  return broker;
}

/** What is in the queue of replies, and who takes from it. */
const depthOf = async (broker: MemoryBroker) => {
  const { consumers } = await broker.inspect.depth({ replies: true });
  return { consumers, ...broker.queues()['waybill.replies'] };
};

function startConsuming({ subscriber }: MemoryBroker, publisher: Publisher, deliver: Deliverer['deliver']) {
  return consumeReplies({
    subscriber,
    publisher,
    deliverers: { callback: { deliver, close: async () => {} } },
    replyAddresses: createReplyAddressVerifier({ keys: keys.replyAddress }),
    clock: createClockCheck(),
    log: pino({ level: 'silent' }),
  });
}

it('a drain takes no more, and waits until what is under way is delivered and acked', async () => {
  const broker = await brokerWithReply();
  const delivered = Promise.withResolvers<'delivered'>();
  const called = Promise.withResolvers<void>();
  const replies = startConsuming(broker, broker.publisher, () => {
    called.resolve();
    return delivered.promise;
  });
  await called.promise;
  let isDrained = false;
  const drained = replies.drain().then(() => {
    isDrained = true;
  });
  await eventually(async () =>
    assert.deepEqual(await depthOf(broker), { consumers: 0, ready: 0, unacked: 1 }),
  );
  assert.equal(isDrained, false);
  delivered.resolve('delivered');
  await drained;
  await broker.subscriber.close();
  assert.deepEqual(await depthOf(broker), { consumers: 0, ready: 0, unacked: 0 });
});

it('a drain gives up on what the broker does not confirm, and leaves it unacked for another dispatcher', async (t) => {
  const broker = await brokerWithReply();
  const published = Promise.withResolvers<void>();
  // As one that blocks publishers.
  const publish: Publisher['publish'] = async () => {
    published.resolve();
    return 'not-accepted';
  };
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const replies = startConsuming(broker, { ...broker.publisher, publish }, async () => 'failing');
  await published.promise;
  const drained = replies.drain();
  await new Promise((resolve) => setImmediate(resolve));
  t.mock.timers.tick(6_000);
  await drained;
  await broker.subscriber.close();
  assert.deepEqual(await depthOf(broker), { consumers: 0, ready: 1, unacked: 0 });
});
