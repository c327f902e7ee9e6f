import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { pino } from 'pino';
import { warnOfOtherAnswerers } from './other-answerers.ts';

describe('services that answer types', () => {
  function createServices(t: TestContext) {
    const broker = createMemoryBroker({ topology: 'dispatcher' });
    const stop = new AbortController();
    t.after(() => {
      stop.abort();
      return broker.close();
    });
    return {
      broker,
      /** Starts an instance; what it warns of grows. */
      start(service: string, types: string[]) {
        const warnings: unknown[] = [];
        const write = (line: string) => {
          const { event_type, services, msg } = JSON.parse(line);
          warnings.push([event_type, services, msg]);
        };
        const connections = broker.connect({ topology: { service, types } });
        const log = pino({ level: 'warn' }, { write });
        warnOfOtherAnswerers({ service, types, ...connections, signal: stop.signal, log });
        return warnings;
      },
    };
  }

  const warning = (type: string, services: string[]) => [type, services, 'two services answer one type'];

  it('warn both, by name and once for each type, when another service answers it too', async (t) => {
    const { start } = createServices(t);
    const orders = start('orders', ['Order.Place', 'Order.Cancel']);
    const billing = start('billing', ['Order.Place', 'Bill.Send']);
    const again = start('billing', ['Order.Place', 'Bill.Send']);
    const expected = [warning('Order.Place', ['billing', 'orders'])];
    await eventually(() => assert.deepEqual([...again, ...billing].slice(0, 1), expected));
    await eventually(() => assert.deepEqual(orders, expected));
  });

  it('say nothing of instances of one service, nor of services that answer other types', async (t) => {
    const { start, broker } = createServices(t);
    const instances = [start('orders', ['Order.Place']), start('orders', ['Order.Place'])];
    const others = start('billing', ['Bill.Send']);
    // The one that comes last is heard by all, after what they had to say to each other.
    const last = start('last', ['Order.Place', 'Bill.Send']);
    await eventually(() => assert.equal(last.length, 2));
    await eventually(() => assert.equal(others.length, 1));
    const services = [...instances.flat(), ...others].map((each) => (each as [string, string[]])[1]);
    for (const pair of services) assert.ok(pair.includes('last'), String(pair));
    await eventually(() =>
      assert.deepEqual(broker.queues()['waybill.orders.types'], { ready: 0, unacked: 0 }),
    );
  });
});
