import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type AmqpBroker, available, createAmqpBench, framesIn, onRawChannel } from './amqp-bench.fixture.ts';
import { messageTo, publishAll } from './contract-bench.fixture.ts';
import type { OutgoingMessage, PublishOutcome } from './ports.ts';
import { createTopologyWatch } from './topology-watch.ts';

export function describeAmqpPublishing(broker: AmqpBroker): void {
  describe('publishing what makes the broker close the channel', () => {
    it('lets no message suffer from a neighbour that makes the broker close the channel', async (t) => {
      const bench = createAmqpBench(broker, t);
      const publisher = await bench.publisher();
      const bodies = Array.from({ length: 20 }, (_, i) => String(i));
      const messages = bodies.map((body) => messageTo(bench.service, body));
      const poison = poisonous();
      messages.splice(10, 0, poison);
      messages.splice(5, 0, poison);

      const outcomes = await Promise.all(messages.map((message) => publisher.publish(message)));

      assert.deepEqual(
        outcomes,
        messages.map((message) => (message === poison ? 'unknown' : 'confirmed')),
      );
      await available(publisher);
      await publishAll(publisher, bench.service, ['after']);
    });

    it('finds out which message makes the broker close the channel while others keep coming', async (t) => {
      const bench = createAmqpBench(broker, t);
      const publisher = await bench.publisher({ confirmTimeoutMs: 60_000 });
      const others: Promise<PublishOutcome>[] = [];
      let poisonOutcome: PublishOutcome | undefined;
      publisher.publish(poisonous()).then((outcome) => {
        poisonOutcome = outcome;
      });

      for (const deadlineMs = performance.now() + 30_000; !poisonOutcome; await nextTurn()) {
        assert.ok(performance.now() < deadlineMs, 'not found out within 30 s');
        others.push(publisher.publish(messageTo(bench.service)));
      }

      assert.equal(poisonOutcome, 'unknown');
      // Not connected in between.
      assert.deepEqual(new Set(await Promise.all(others)), new Set(['confirmed', 'not-accepted']));
    });
  });
  describeLooking(broker);
}

function describeLooking(broker: AmqpBroker): void {
  it('looks at its topology once more while it looks, however many ask', async (t) => {
    const bench = createAmqpBench(broker, t);
    const proxy = await bench.proxy();
    let channels = 0;
    proxy.setNextFault({
      rewrite(chunk) {
        // Channel.OpenOk: a look opens one to look, and one to declare.
        channels += framesIn(chunk).filter(({ method }) => method === '20.11').length;
        return chunk;
      },
    });
    const publisher = await bench.publisher({ url: proxy.url });
    channels = 0;

    const first = publisher.declare();
    await nextTurn();
    await Promise.all([first, ...Array.from({ length: 50 }, () => publisher.declare())]);

    assert.equal(channels, 4);
  });

  it('tells the watch what the broker answers when it may not even look', async (t) => {
    const bench = createAmqpBench(broker, t);
    const watch = createTopologyWatch({ log: bench.log });
    const publisher = await bench.publisher({ watch });

    await onRawChannel(bench.url, async (channel) => {
      await channel.deleteQueue(bench.queue);
      await channel.assertQueue(bench.queue, { exclusive: true });
      await assert.rejects(publisher.declare(), { code: 405 });
    });
    assert.match(String(watch.trouble()), /RESOURCE_LOCKED/);

    await publisher.declare();
    assert.doesNotMatch(String(watch.trouble()), /RESOURCE_LOCKED/);
  });
}

/** To an exchange that none of these tests declares. */
function poisonous(): OutgoingMessage {
  return { ...messageTo(''), to: { deadLetters: 'key' } };
}
