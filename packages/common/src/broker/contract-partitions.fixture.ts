import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import type { BrokerContract, Connections } from './contract.fixture.ts';
import { createBench, messageTo, soon } from './contract-bench.fixture.ts';
import type { Publisher } from './ports.ts';

const PARTITION = 3;
const BODIES = Array.from({ length: 60 }, (_, i) => String(i));
const PREFETCH = 16;

export function describePartitions(contract: BrokerContract): void {
  describe('partitions', () => {
    it('get what is published to them, and nobody does where no service takes the type in order', async (t) => {
      const bench = createBench(contract, t);
      const { publisher, subscriber } = await bench.connect();
      const { service, type } = bench;
      const to = { type, partition: PARTITION };
      assert.equal(await publisher.publish({ ...messageTo(''), to }), 'unroutable');
      // Nobody answers while the connection is made anew, as on a broker that is slow to start.
      await soon(async () => assert.equal(await subscriber.consumersOf(service, PARTITION), undefined));

      const ordered = await bench.connect({ topology: { service, types: [type], orderedTypes: [type] } });
      assert.equal(await publisher.publish({ ...messageTo('', 'by type'), to }), 'confirmed');
      const direct = { service, partition: PARTITION };
      assert.equal(await publisher.publish({ ...messageTo('', 'by service'), to: direct }), 'confirmed');
      assert.equal(await publisher.publish({ ...messageTo('', 'whole'), to: { type } }), 'confirmed');

      const from = { of: service, partition: PARTITION };
      const consumption = await bench.consume(ordered.subscriber, { from });
      const [one, other] = [await consumption.next(), await consumption.next()];
      assert.deepEqual([String(one.body), String(other.body)], ['by type', 'by service']);
      assert.deepEqual(one.from, from);
      assert.equal(one.queue, `waybill.${service}.p3`);
      assert.equal(one.destination.name, `waybill.events:${type}:3:waybill.${service}.p3`);
      await soon(async () => assert.equal(await subscriber.consumersOf(service, PARTITION), 1));
      const whole = await (await bench.consume(subscriber)).next();
      assert.equal(String(whole.body), 'whole');
    });

    const endings: [how: string, end: (one: Connections, cancel: () => Promise<void>) => unknown][] = [
      ['it cancels', (_one, cancel) => cancel()],
      ['its connection breaks', ({ faults }) => faults.refuse()],
    ];
    for (const [how, end] of endings)
      it(`have one consumer at a time, and what it has in hand comes first to the next, in order, when ${how}`, async (t) => {
        const { bench, from, publish, connect } = setUp(contract, t);
        const [one, two] = [await connect(), await connect()];
        const first = await bench.consume(one.subscriber, { from, prefetch: PREFETCH });
        const second = await bench.consume(two.subscriber, { from, prefetch: PREFETCH });
        await publish(two.publisher, BODIES);
        const inHand = [];
        for (let i = 0; i < PREFETCH; i += 1) inHand.push(await first.next());
        // Out of order, as keys that run beside each other are done.
        for (const i of [2, 0, 7]) inHand[i]?.ack();
        const refilled = [await first.next(), await first.next(), await first.next()];
        assert.deepEqual([...inHand, ...refilled].map(bodyOf), BODIES.slice(0, PREFETCH + 3));

        await end(one, first.cancel);

        const lost = inHand[1];
        assert.ok(lost);
        if (!lost.signal.aborted) await once(lost.signal, 'abort');
        lost.ack();
        const expected = BODIES.filter((body) => !['2', '0', '7'].includes(body));
        for (const body of expected) {
          const delivery = await second.next();
          assert.equal(bodyOf(delivery), body);
          assert.equal(delivery.deliveryCount, Number(body) < PREFETCH + 3 ? 1 : 0);
          delivery.ack();
        }
      });

    it('are consumed again, in order, after a connection that broke', async (t) => {
      const { bench, from, publish, connect } = setUp(contract, t);
      const [one, two] = [await connect(), await connect()];
      const consumption = await bench.consume(one.subscriber, { from, prefetch: PREFETCH });
      await publish(two.publisher, BODIES);
      const lost = await consumption.next();

      one.faults.reset();
      if (!lost.signal.aborted) await once(lost.signal, 'abort');

      const again: string[] = [];
      while (again.length < BODIES.length) {
        const next = await consumption.next();
        // What had come before the loss is still here to be seen.
        if (next.signal.aborted) continue;
        again.push(bodyOf(next));
        next.ack();
      }
      assert.deepEqual(again, BODIES);
      await soon(() => assert.ok(consumption.isActive()));
    });
  });
}

/** A service that takes its type in order, and a partition of it. */
function setUp(contract: BrokerContract, t: TestContext) {
  const bench = createBench(contract, t);
  const { service, type } = bench;
  return {
    bench,
    from: { of: service, partition: PARTITION },
    connect: () => bench.connect({ topology: { service, types: [type], orderedTypes: [type] } }),
    async publish(publisher: Publisher, bodies: string[]) {
      const to = { type, partition: PARTITION };
      const outcomes = bodies.map((body) => publisher.publish({ ...messageTo('', body), to }));
      assert.deepEqual(new Set(await Promise.all(outcomes)), new Set(['confirmed']));
    },
  };
}

function bodyOf({ body }: { body: Buffer }): string {
  return String(body);
}
