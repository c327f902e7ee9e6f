import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { BrokerContract } from './contract.ts';
import {
  collect,
  createBench,
  depthOf,
  expectDepth,
  framesIn,
  messageTo,
  onRawChannel,
  publishAll,
  quorumQueue,
  soon,
} from './contract-bench.ts';

export function describeConsuming(contract: BrokerContract): void {
  describe('consuming', () => {
    it('delivers a message as it was published', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher();
      const consumption = await bench.consume(await bench.subscriber());

      await publisher.publish({ ...messageTo(bench.service, 'ü'), headers: { attempts: 3 } });

      const { body, headers, ...fields } = await consumption.next();
      const { contentType, from, queue, routingKey, destination, deliveryCount } = fields;
      const { attempts } = headers;
      assert.deepEqual(
        {
          body: String(body),
          contentType,
          attempts,
          from,
          queue,
          routingKey,
          name: destination.name,
          deliveryCount,
        },
        {
          body: 'ü',
          contentType: 'text/plain',
          attempts: 3,
          from: { work: bench.service },
          queue: bench.queue,
          routingKey: bench.queue,
          name: bench.queue,
          deliveryCount: 0,
        },
      );
    });

    it('delivers an empty body and one of many frames', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher();
      const consumption = await bench.consume(await bench.subscriber());
      const bodies = [Buffer.alloc(0), Buffer.alloc(1_000_000, 'x')];

      for (const body of bodies) await publisher.publish(messageTo(bench.service, body));

      for (const body of bodies) assert.ok((await consumption.next()).body.equals(body));
    });

    it('takes an acked message off its queue, even when it closes right after', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher();
      const subscriber = await bench.subscriber();
      const consumption = await bench.consume(subscriber);
      await publishAll(publisher, bench.service, ['1', '2', '3']);
      const [first, second] = [await consumption.next(), await consumption.next(), await consumption.next()];

      first?.ack();
      second?.ack();
      await subscriber.close();

      await expectDepth(bench.url, bench.queue, { ready: 1, consumers: 0 });
      const left = await onRawChannel(bench.url, (channel) => channel.get(bench.queue));
      assert.equal(left && String(left.content), '3');
    });

    it('counts how often a message, of the same id each time, was delivered, lost with its connection or requeued', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher();
      const proxy = await bench.proxy();
      const consumption = await bench.consume(await bench.subscriber({ url: proxy.url }));
      await publishAll(publisher, bench.service, ['1']);

      const first = await consumption.next();
      assert.equal(first.deliveryCount, 0);
      assert.ok(first.messageId);
      proxy.reset();
      const second = await consumption.next();
      assert.equal(second.deliveryCount, 1);
      assert.equal(second.messageId, first.messageId);
      second.requeue();
      assert.equal((await consumption.next()).deliveryCount, 2);
      proxy.reset();
      assert.equal((await consumption.next()).deliveryCount, 3);
    });

    it('aborts the signal of a lost delivery, whose ack then does nothing', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher();
      const proxy = await bench.proxy();
      const consumption = await bench.consume(await bench.subscriber({ url: proxy.url }));
      await publishAll(publisher, bench.service, ['1']);
      const lost = await consumption.next();
      assert.equal(lost.signal.aborted, false);

      proxy.reset();
      await once(lost.signal, 'abort');
      lost.ack();
      lost.requeue();

      const again = await consumption.next();
      lost.ack();
      assert.equal(again.signal.aborted, false);
      again.ack();
      await expectDepth(bench.url, bench.queue, { ready: 0, consumers: 1 });
    });

    it('aborts the signal of what came before the connection was set up, and broke then', async (t) => {
      const bench = createBench(contract, t);
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

    it('keeps to the prefetch of each subscription', async (t) => {
      const bench = createBench(contract, t);
      const other = `${bench.service}-other`;
      const queues = [quorumQueue(bench.queue), quorumQueue(`${bench.queue}-other`)];
      const topology = { ...bench.topology, queues };
      const publisher = await bench.publisher({ topology });
      for (const service of [bench.service, other])
        await publishAll(publisher, service, ['1', '2', '3', '4', '5']);
      const subscriber = await bench.subscriber({ topology });

      const one = collect(subscriber, { from: { work: bench.service }, prefetch: 1 });
      const three = collect(subscriber, { from: { work: other }, prefetch: 3 });

      const first = await one.next();
      for (let i = 0; i < 3; i += 1) await three.next();
      await expectDepth(bench.url, bench.queue, { ready: 4, consumers: 1 });
      await expectDepth(bench.url, `${bench.queue}-other`, { ready: 2, consumers: 1 });
      first.ack();
      assert.equal(String((await one.next()).body), '2');
      await expectDepth(bench.url, bench.queue, { ready: 3, consumers: 1 });
    });

    it('delivers no more once cancelled, and still takes the acks of what was delivered', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher();
      const subscriber = await bench.subscriber();
      const consumption = await bench.consume(subscriber, { prefetch: 2 });
      await publishAll(publisher, bench.service, ['1', '2', '3']);
      const deliveries = [await consumption.next(), await consumption.next()];

      await consumption.cancel();
      for (const delivery of deliveries) delivery.ack();

      assert.equal(consumption.isActive(), false);
      await subscriber.close();
      await expectDepth(bench.url, bench.queue, { ready: 1, consumers: 0 });
    });

    it('cancels a subscription that is not active yet', async (t) => {
      const bench = createBench(contract, t);
      const publisher = await bench.publisher();
      const subscriber = await bench.subscriber();
      // It has a connection by then.
      await (await bench.consume(subscriber)).cancel();
      const subscription = collect(subscriber, { from: { work: bench.service }, prefetch: 1 });

      await subscription.cancel();

      await publishAll(publisher, bench.service, ['1']);
      assert.deepEqual(await depthOf(bench.url, bench.queue), { ready: 1, consumers: 0 });
    });

    it('consumes once, whenever it is asked to while it connects', async (t) => {
      const bench = createBench(contract, t);
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

    it('consumes a queue again that was deleted', async (t) => {
      const bench = createBench(contract, t);
      // What it writes while the queue goes may never be confirmed.
      const publisher = await bench.publisher({ confirmTimeoutMs: 1_000 });
      const consumption = await bench.consume(await bench.subscriber());

      await onRawChannel(bench.url, (channel) => channel.deleteQueue(bench.queue));

      await soon(() => publishAll(publisher, bench.service, ['back']));
      assert.equal(String((await consumption.next()).body), 'back');
    });

    it('closes although the peer has gone silent', async (t) => {
      const bench = createBench(contract, t);
      const proxy = await bench.proxy();
      const publisher = await bench.publisher();
      const subscriber = await bench.subscriber({ url: proxy.url });
      const consumption = await bench.consume(subscriber);
      await publishAll(publisher, bench.service, ['1']);
      const delivery = await consumption.next();
      proxy.setFault({ drop: 'both' });
      // An ack at any moment of it throws nothing.
      const acking = setInterval(delivery.ack, 10);
      t.after(() => clearInterval(acking));

      await consumption.cancel();
      assert.equal(delivery.signal.aborted, false, 'it waited until the peer was given up');
      await subscriber.close();

      assert.ok(delivery.signal.aborted);
    });

    it('delivers nothing when it is closed while it connects', async (t) => {
      const bench = createBench(contract, t);
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
      await expectDepth(bench.url, bench.queue, { ready: 1, consumers: 0 });
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
