import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type AmqpBroker, createAmqpBench, depthOf, framesIn } from './amqp-bench.fixture.ts';
import { collect, publishAll, soon } from './contract-bench.fixture.ts';
import type { Delivery } from './ports.ts';

export function describeAmqpConsuming(broker: AmqpBroker): void {
  describe('consuming while the connection is set up', () => {
    it('aborts the signal of what came before the connection was set up, and broke then', async (t) => {
      const bench = createAmqpBench(broker, t);
      await publishAll(await bench.publisher(), bench.service, ['1']);
      const proxy = await bench.proxy();
      proxy.setNextFault({ rewrite: withoutSecondConsumeOk() });
      const subscriber = await bench.subscriber({ url: proxy.url });
      const consumption = collect(subscriber, { from: { work: bench.service }, prefetch: 1 });
      const other = collect(subscriber, { from: { work: bench.service }, prefetch: 1 });
      const lost = await Promise.race([consumption.next(), other.next()]);
      assert.equal(other.isActive(), false);

      proxy.reset();

      await once(lost.signal, 'abort');
      await soon(() => assert.ok(consumption.isActive() && other.isActive(), 'they are not consuming again'));
    });

    it('consumes once, whenever it is asked to while it connects', async (t) => {
      const bench = createAmqpBench(broker, t);
      const proxy = await bench.proxy();
      proxy.setFault({ delayMs: 3 });
      const subscriber = await bench.subscriber({ url: proxy.url });
      const subscriptions = [collect(subscriber, { from: { work: bench.service }, prefetch: 1 })];

      while (!subscriptions[0]?.isActive() || subscriptions.length < 2) {
        await nextTurn();
        if (proxy.bytesToClient() > subscriptions.length * 30)
          subscriptions.push(collect(subscriber, { from: { work: bench.service }, prefetch: 1 }));
      }

      await soon(() => assert.ok(subscriptions.every((subscription) => subscription.isActive())));
      assert.equal((await depthOf(bench.url, bench.queue)).consumers, subscriptions.length);
    });

    it('keeps to its prefetch, however often it is paused with deliveries unacked', async (t) => {
      const bench = createAmqpBench(broker, t);
      const bodies = Array.from({ length: 14 }, (_, i) => String(i));
      await publishAll(await bench.publisher(), bench.service, bodies);
      const subscriber = await bench.subscriber();
      const unacked: Delivery[] = [];
      const seen: string[] = [];
      let most = 0;
      subscriber.subscribe({
        from: { work: bench.service },
        prefetch: 4,
        onDelivery(delivery) {
          unacked.push(delivery);
          seen.push(String(delivery.body));
          most = Math.max(most, unacked.length);
        },
      });

      for (let left = bodies.length; left > 0; left -= 2) {
        await soon(() => assert.equal(unacked.length, Math.min(4, left)));
        subscriber.pause();
        subscriber.resume();
        for (const { ack } of unacked.splice(0, 2)) ack();
        subscriber.pause();
        subscriber.resume();
      }

      assert.equal(most, 4);
      assert.deepEqual(seen, bodies);
    });

    it('delivers nothing when it is closed while it connects', async (t) => {
      const bench = createAmqpBench(broker, t);
      await publishAll(await bench.publisher(), bench.service, ['1']);
      const proxy = await bench.proxy();
      let closed: Promise<void> | undefined;
      proxy.setNextFault({
        delayMs: 10,
        rewrite(chunk) {
          // Basic.QosOk: what comes next is to consume.
          if (framesIn(chunk).some(({ method }) => method === '60.11')) closed ??= subscriber.close();
          return chunk;
        },
      });
      const subscriber = await bench.subscriber({ url: proxy.url });
      let deliveries = 0;
      subscriber.subscribe({
        from: { work: bench.service },
        prefetch: 1,
        onDelivery: () => (deliveries += 1),
      });

      await soon(() => assert.ok(closed));
      await closed;

      await soon(() => assert.equal(proxy.open(), 0));
      assert.equal(deliveries, 0);
      await soon(async () =>
        assert.deepEqual(await depthOf(bench.url, bench.queue), { ready: 1, consumers: 0 }),
      );
    });
  });
}

/** Holds back the last answer of a setup with two subscriptions, so that it goes on. */
function withoutSecondConsumeOk(): (chunk: Buffer) => Buffer {
  let seen = 0;
  const isKept = (method?: string) => method !== '60.21' || ++seen !== 2;
  return (chunk) =>
    Buffer.concat(
      framesIn(chunk)
        .filter(({ method }) => isKept(method))
        .map(({ bytes }) => bytes),
    );
}
