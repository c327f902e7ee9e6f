import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import type { BrokerContract } from './contract.ts';
import { createBench, messageTo } from './contract-bench.ts';
import {
  EVENTS_EXCHANGE,
  listenerTopology,
  RETRY_DELAYS_MS,
  serviceQueues,
  type Topology,
} from './topology.ts';

export function describeTopology(contract: BrokerContract): void {
  describe('the topology of a listener', () => {
    it('routes the types it is declared for to its work queue, however often it is declared', async (t) => {
      const bench = createBench(contract, t);
      const { topology, queues, type } = newService();
      const publisher = await bench.publisher({ topology });
      await publisher.declare();
      const consumption = await bench.consume(await bench.subscriber({ topology }), { queue: queues.work });
      const publish = (routingKey: string) =>
        publisher.publish({ ...messageTo(routingKey), exchange: EVENTS_EXCHANGE });

      assert.equal(await publish(`${type}.other`), 'unroutable');
      assert.equal(await publish(type), 'confirmed');

      const delivery = await consumption.next();
      assert.equal(delivery.routingKey, type);
      delivery.ack();
    });

    it('brings messages from a retry queue back to the work queue, once each and with their headers', async (t) => {
      const bench = createBench(contract, t);
      const { topology, queues } = newService();
      const publisher = await bench.publisher({ topology });
      const consumption = await bench.consume(await bench.subscriber({ topology }), { queue: queues.work });
      const bodies = Array.from({ length: 20 }, (_, i) => String(i));

      for (const body of bodies)
        await publisher.publish({
          ...messageTo(queues.retry(RETRY_DELAYS_MS[0]), body),
          headers: { attempts: 2 },
        });

      const back = [];
      for (const _ of bodies) {
        const delivery = await consumption.next();
        assert.equal(delivery.headers.attempts, 2);
        back.push(String(delivery.body));
        delivery.ack();
      }
      assert.deepEqual(new Set(back), new Set(bodies));
    });
  });
}

function newService(): { topology: Topology; queues: ReturnType<typeof serviceQueues>; type: string } {
  const service = `contract-${randomUUID()}`;
  const type = `Type.${service}`;
  return { topology: listenerTopology(service, [type]), queues: serviceQueues(service), type };
}
