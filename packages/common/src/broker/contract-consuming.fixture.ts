import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import type { BrokerContract } from './contract.fixture.ts';
import { collect, createBench, expectDepth, messageTo, publishAll, soon } from './contract-bench.fixture.ts';

export function describeConsuming(contract: BrokerContract): void {
  describe('consuming', () => {
    it('delivers a message as it was published, and says where it comes from', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, subscriber } = await bench.connect();
      const consumption = await bench.consume(subscriber);

      await publisher.publish({ ...messageTo(bench.service, 'ü'), headers: { attempts: 3 } });

      const { body, headers, ...fields } = await consumption.next();
      const { contentType, from, queue, routingKey, destination, deliveryCount } = fields;
      assert.deepEqual(
        { body: String(body), contentType, attempts: headers.attempts, from, deliveryCount },
        { body: 'ü', contentType: 'text/plain', attempts: 3, from: bench.work, deliveryCount: 0 },
      );
      assert.deepEqual([queue, routingKey, destination.name], Array(3).fill(`waybill.${bench.service}`));
    });

    it('delivers an empty body and one of many frames', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, subscriber } = await bench.connect();
      const consumption = await bench.consume(subscriber);
      const bodies = [Buffer.alloc(0), Buffer.alloc(1_000_000, 'x')];

      for (const body of bodies) await publisher.publish(messageTo(bench.service, body));

      for (const body of bodies) assert.ok((await consumption.next()).body.equals(body));
    });

    it('takes an acked message off its queue, even when it closes right after', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, subscriber } = await bench.connect();
      const consumption = await bench.consume(subscriber);
      await publishAll(publisher, bench.service, ['1', '2', '3']);
      const [first, second] = [await consumption.next(), await consumption.next(), await consumption.next()];

      first?.ack();
      second?.ack();
      await subscriber.close();

      await expectDepth(bench, bench.work, { ready: 1, consumers: 0 });
      assert.equal(String((await bench.inspect.take(bench.work))?.body), '3');
    });

    it('counts how often a message, of the same id each time, was delivered, lost with its connection or requeued', async (t) => {
      const bench = createBench(contract, t);
      const { publisher } = await bench.connect();
      const { subscriber, faults } = await bench.connect();
      const consumption = await bench.consume(subscriber);
      await publishAll(publisher, bench.service, ['1']);

      const first = await consumption.next();
      assert.equal(first.deliveryCount, 0);
      assert.ok(first.messageId);
      faults.reset();
      const second = await consumption.next();
      assert.equal(second.deliveryCount, 1);
      assert.equal(second.messageId, first.messageId);
      second.requeue();
      assert.equal((await consumption.next()).deliveryCount, 2);
      faults.reset();
      assert.equal((await consumption.next()).deliveryCount, 3);
    });

    it('aborts the signal of a lost delivery, whose ack then does nothing', async (t) => {
      const bench = createBench(contract, t);
      const { publisher } = await bench.connect();
      const { subscriber, faults } = await bench.connect();
      const consumption = await bench.consume(subscriber);
      await publishAll(publisher, bench.service, ['1']);
      const lost = await consumption.next();
      assert.equal(lost.signal.aborted, false);

      faults.reset();
      if (!lost.signal.aborted) await once(lost.signal, 'abort');
      lost.ack();
      lost.requeue();

      const again = await consumption.next();
      lost.ack();
      assert.equal(again.signal.aborted, false);
      again.ack();
      await expectDepth(bench, bench.work, { ready: 0, consumers: 1 });
    });

    it('keeps to the prefetch of each subscription', async (t) => {
      const bench = createBench(contract, t);
      const { service, work } = bench;
      const isolated = { isolated: service };
      const { publisher, subscriber } = await bench.connect();
      for (const body of ['1', '2', '3', '4', '5'])
        for (const to of [{ service }, isolated])
          assert.equal(await publisher.publish({ ...messageTo(service, body), to }), 'confirmed');

      const one = collect(subscriber, { from: work, prefetch: 1 });
      const three = collect(subscriber, { from: isolated, prefetch: 3 });

      const first = await one.next();
      for (let i = 0; i < 3; i += 1) await three.next();
      await expectDepth(bench, work, { ready: 4, consumers: 1 });
      await expectDepth(bench, isolated, { ready: 2, consumers: 1 });
      first.ack();
      assert.equal(String((await one.next()).body), '2');
      await expectDepth(bench, work, { ready: 3, consumers: 1 });
    });

    it('delivers no more once cancelled, and still takes the acks of what was delivered', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, subscriber } = await bench.connect();
      const consumption = await bench.consume(subscriber, { prefetch: 2 });
      await publishAll(publisher, bench.service, ['1', '2', '3']);
      const deliveries = [await consumption.next(), await consumption.next()];

      await consumption.cancel();
      for (const delivery of deliveries) delivery.ack();

      assert.equal(consumption.isActive(), false);
      await subscriber.close();
      await expectDepth(bench, bench.work, { ready: 1, consumers: 0 });
    });

    it('cancels a subscription that is not active yet', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, subscriber } = await bench.connect();
      const subscription = collect(subscriber, { from: bench.work, prefetch: 1 });

      await subscription.cancel();

      await publishAll(publisher, bench.service, ['1']);
      await expectDepth(bench, bench.work, { ready: 1, consumers: 0 });
    });

    it('consumes a queue again that was deleted', async (t) => {
      const bench = createBench(contract, t);
      // What it writes while the queue goes may never be confirmed.
      const { publisher } = await bench.connect({ confirmTimeoutMs: 1_000 });
      const { subscriber } = await bench.connect();
      const consumption = await bench.consume(subscriber);

      await bench.inspect.deleteQueue(bench.work);

      await soon(() => publishAll(publisher, bench.service, ['back']));
      assert.equal(String((await consumption.next()).body), 'back');
    });

    it('gives back what is unacked when it closes', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, subscriber } = await bench.connect();
      const consumption = await bench.consume(subscriber);
      await publishAll(publisher, bench.service, ['1', '2']);
      const delivery = await consumption.next();

      await subscriber.close();

      assert.ok(delivery.signal.aborted);
      await expectDepth(bench, bench.work, { ready: 2, consumers: 0 });
    });

    it('closes although the peer has gone silent', async (t) => {
      const bench = createBench(contract, t);
      const { publisher } = await bench.connect();
      const { subscriber, faults } = await bench.connect();
      const consumption = await bench.consume(subscriber);
      await publishAll(publisher, bench.service, ['1']);
      const delivery = await consumption.next();
      faults.silence('all');
      // An ack at any moment of it throws nothing.
      const acking = setInterval(delivery.ack, 10);
      t.after(() => clearInterval(acking));

      await consumption.cancel();
      assert.equal(delivery.signal.aborted, false, 'it waited until the peer was given up');
      await subscriber.close();

      assert.ok(delivery.signal.aborted);
    });
  });
}
