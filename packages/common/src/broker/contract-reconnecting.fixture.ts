import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { BrokerContract, Connections } from './contract.fixture.ts';
import { type Bench, collect, createBench, isConnected, publishAll, soon } from './contract-bench.fixture.ts';

export function describeReconnecting(contract: BrokerContract): void {
  describe('reconnecting', () => {
    it('waits for a broker that is not there at the start', async (t) => {
      const bench = createBench(contract, t);
      // Its queue is there: RabbitMQ 3.10 refuses messages for one that two clients are just declaring.
      await bench.connect();
      const connections = await bench.connecting();
      connections.faults.refuse();
      const consumption = collect(connections.subscriber, { from: bench.work, prefetch: 1 });
      await soon(() => assert.equal(isConnected(connections), false));

      connections.faults.restore();

      await expectFlow(bench, connections, consumption);
    });

    for (const what of ['answers', 'all'] as const)
      it(`comes back from a line on which ${what === 'all' ? 'all was' : 'answers were'} lost`, async (t) => {
        const bench = createBench(contract, t);
        const connections = await bench.connect({ confirmTimeoutMs: 100 });
        const consumption = await bench.consume(connections.subscriber);
        connections.faults.silence(what);
        assert.equal(
          await connections.publisher.publish({ ...LOST, to: { isolated: bench.service } }),
          'unknown',
        );

        connections.faults.restore();

        await expectFlow(bench, connections, consumption);
      });

    it('consumes again all that was subscribed to, and nothing that was cancelled', async (t) => {
      const bench = createBench(contract, t);
      const connections = await bench.connect();
      const isolated = { isolated: bench.service };
      await bench.consume(connections.subscriber);
      await (await bench.consume(connections.subscriber, { from: isolated })).cancel();
      connections.faults.refuse();
      await soon(async () => assert.equal((await bench.inspect.depth(bench.work)).consumers, 0));

      connections.faults.restore();

      await soon(async () => assert.equal((await bench.inspect.depth(bench.work)).consumers, 1));
      assert.equal((await bench.inspect.depth(isolated)).consumers, 0);
    });
  });
}

const LOST = { contentType: 'text/plain', body: Buffer.from('lost') };

async function expectFlow(
  bench: Bench,
  connections: Connections,
  consumption: ReturnType<typeof collect>,
): Promise<void> {
  await soon(() => assert.ok(isConnected(connections)));
  await soon(() => publishAll(connections.publisher, bench.service, ['through']));
  assert.equal(String((await consumption.next()).body), 'through');
}
