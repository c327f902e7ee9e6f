import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { type AmqpTopology, listenerTopology } from './amqp-topology.ts';
import type { BrokerContract } from './contract.ts';
import { createBench, messageTo } from './contract-bench.ts';
import { RETRY_DELAYS_MS } from './topology.ts';

export function describeTopology(contract: BrokerContract): void {
  describe('the topology of a listener', () => {
    it('routes the types it is declared for to its work queue, however often it is declared', async (t) => {
      const bench = createBench(contract, t);
      const { topology, service, type } = newService();
      const publisher = await bench.publisher({ topology });
      await publisher.declare();
      const consumption = await bench.consume(await bench.subscriber({ topology }), {
        from: { work: service },
      });
      const publish = (type: string) => publisher.publish({ ...messageTo(service), to: { type } });

      assert.equal(await publish(`${type}.other`), 'unroutable');
      assert.equal(await publish(type), 'confirmed');

      const delivery = await consumption.next();
      assert.equal(delivery.routingKey, type);
      delivery.ack();
    });

    it('brings messages from a retry queue back to the work queue, once each and with their headers', async (t) => {
      const bench = createBench(contract, t);
      const { topology, service } = newService();
      const publisher = await bench.publisher({ topology });
      const consumption = await bench.consume(await bench.subscriber({ topology }), {
        from: { work: service },
      });
      const bodies = Array.from({ length: 20 }, (_, i) => String(i));

      for (const body of bodies)
        await publisher.publish({
          ...messageTo(service, body),
          to: { service, delayMs: RETRY_DELAYS_MS[0] },
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

function newService(): { topology: AmqpTopology; service: string; type: string } {
  const service = `contract-${randomUUID()}`;
  const type = `Type.${service}`;
  return { topology: listenerTopology(service, [type]), service, type };
}
