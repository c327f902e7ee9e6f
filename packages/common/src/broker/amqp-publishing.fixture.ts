import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type AmqpBroker, available, createAmqpBench } from './amqp-bench.fixture.ts';
import { messageTo, publishAll } from './contract-bench.fixture.ts';
import type { OutgoingMessage, PublishOutcome } from './ports.ts';

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
}

/** To an exchange that none of these tests declares. */
function poisonous(): OutgoingMessage {
  return { ...messageTo(''), to: { deadLetters: 'key' } };
}
