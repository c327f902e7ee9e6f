import assert from 'node:assert/strict';
import { once } from 'node:events';
import { describe, it, type TestContext } from 'node:test';
import { freePort } from '@waybill/test-harness/free-port.ts';
import type { Fault, TcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import {
  type AmqpBench,
  type AmqpBroker,
  available,
  createAmqpBench,
  framesIn,
} from './amqp-bench.fixture.ts';
import { collect, publishAll, soon } from './contract-bench.fixture.ts';
import type { Publisher } from './ports.ts';

export function describeAmqpReconnecting(broker: AmqpBroker): void {
  describe('reconnecting', () => {
    it('waits for a broker that is not there at the start', async (t) => {
      const bench = createAmqpBench(broker, t);
      const port = await freePort();
      const url = new URL(bench.url);
      url.port = String(port);
      // Its queue is there: RabbitMQ 3.10 refuses messages for one that two clients are just declaring.
      await bench.publisher();
      const publisher = await bench.unconnectedPublisher({ url: url.href });
      const subscriber = await bench.subscriber({ url: url.href });
      const consumption = collect(subscriber, { from: { work: bench.service }, prefetch: 1 });

      await bench.proxy({ port });

      await expectFlow(bench, publisher, consumption);
    });

    it('comes back after its connections are reset, 50 times, and piles up no listeners', async (t) => {
      const bench = createAmqpBench(broker, t);
      const proxy = await bench.proxy();
      const publisher = await bench.publisher({ url: proxy.url });
      const consumption = await bench.consume(await bench.subscriber({ url: proxy.url }));
      const warnings: Error[] = [];
      const onWarning = (warning: Error) => warnings.push(warning);
      process.on('warning', onWarning);
      t.after(() => process.off('warning', onWarning));

      for (let round = 1; round <= 50; round += 1) {
        proxy.reset();
        await soon(() => {
          assert.ok(proxy.accepted() >= 2 + 2 * round);
          assert.ok(publisher.isAvailable() && consumption.isActive());
        });
      }

      await expectFlow(bench, publisher, consumption);
      assert.deepEqual(warnings, []);
    });

    it('comes back wherever the connection is reset while it is set up', async (t) => {
      const { bench, proxy, bytes } = await measuredSetup(broker, t);
      for (let share = 0; share < 40; share += 1)
        proxy.setNextFault({ resetAfterBytes: Math.ceil((bytes * (share + 1)) / 39) });

      const clients = Array.from({ length: 10 }, async () => {
        const publisher = await bench.publisher({ url: proxy.url });
        const consumption = await bench.consume(await bench.subscriber({ url: proxy.url }), { prefetch: 1 });
        return { publisher, consumption };
      });

      for (const { publisher, consumption } of await Promise.all(clients))
        await soon(() => assert.ok(publisher.isAvailable() && consumption.isActive()));
      assert.ok(proxy.accepted() > 41);
    });

    it('comes back when the peer goes silent while the connection is set up', async (t) => {
      const { bench, proxy, bytes } = await measuredSetup(broker, t);
      // The last answers of the setup: the handshake before it has a timeout of its own.
      const cuts = [1, 15, 30, 60];
      for (const fromEnd of cuts) proxy.setNextFault({ dropAfterBytes: bytes - fromEnd });

      await Promise.all(cuts.map(() => bench.publisher({ url: proxy.url, setupTimeoutMs: 1_000 })));

      assert.ok(proxy.accepted() >= 1 + 2 * cuts.length);
    });

    for (const [answer, method] of Object.entries(ANSWERS))
      it(`comes back when the close of the connection arrives along with ${answer}`, async (t) => {
        const bench = createAmqpBench(broker, t);
        const proxy = await bench.proxy();
        proxy.setNextFault({ rewrite: (chunk) => appendConnectionClose(chunk, method) });

        const publisher = await bench.publisher({ url: proxy.url });

        await soon(() => assert.equal(proxy.accepted(), 2));
        await available(publisher);
        await publishAll(publisher, bench.service, ['1']);
      });

    it('understands a peer whose bytes arrive one by one', async (t) => {
      const bench = createAmqpBench(broker, t);
      const proxy = await bench.proxy();
      proxy.setFault({ sliceBytes: 1 });
      const publisher = await bench.publisher({ url: proxy.url });
      const consumption = await bench.consume(await bench.subscriber({ url: proxy.url }));

      await expectFlow(bench, publisher, consumption);
    });

    it('gives a silent peer up after the heartbeat, and gets its deliveries again', async (t) => {
      const bench = createAmqpBench(broker, t);
      const proxy = await bench.proxy();
      const fault: Fault = {};
      proxy.setNextFault(fault);
      const consumption = await bench.consume(await bench.subscriber({ url: proxy.url, heartbeatS: 1 }));
      await publishAll(await bench.publisher(), bench.service, ['1']);
      const lost = await consumption.next();

      fault.drop = 'both';
      await once(lost.signal, 'abort');

      assert.equal((await consumption.next()).deliveryCount, 1);
    });
  });
}

/** What only the server can do, to everybody who is connected. */
export function describeServerFaults(broker: AmqpBroker): void {
  const { closeConnections } = broker;
  if (closeConnections)
    it('comes back when the server closes its connections', async (t) => {
      const bench = createAmqpBench(broker, t);
      const publisher = await bench.publisher();
      const consumption = await bench.consume(await bench.subscriber());
      await publishAll(publisher, bench.service, ['1']);
      const lost = await consumption.next();

      await closeConnections();

      if (!lost.signal.aborted) await once(lost.signal, 'abort');
      const again = await consumption.next();
      assert.equal(again.deliveryCount, 1);
      again.ack();
      await soon(() => publishAll(publisher, bench.service, ['2']));
      assert.equal(String((await consumption.next()).body), '2');
    });
}

async function expectFlow(
  bench: AmqpBench,
  publisher: Publisher,
  consumption: ReturnType<typeof collect>,
): Promise<void> {
  await available(publisher);
  await publishAll(publisher, bench.service, ['through']);
  assert.equal(String((await consumption.next()).body), 'through');
}

/** A proxy, and how many bytes a client gets through it until it is set up. */
async function measuredSetup(
  broker: AmqpBroker,
  t: TestContext,
): Promise<{ bench: AmqpBench; proxy: TcpProxy & { url: string }; bytes: number }> {
  const bench = createAmqpBench(broker, t);
  const proxy = await bench.proxy();
  await bench.publisher({ url: proxy.url });
  return { bench, proxy, bytes: proxy.bytesToClient() };
}

/** What a broker answers while it is connected to and set up, by class and method. */
const ANSWERS = {
  'its tuning': '10.30',
  'the opening of the connection': '10.41',
  'the first channel': '20.11',
  'the last answer of the setup': '20.41',
};

/** Puts a Connection.Close (320, connection forced) behind what has that method. */
function appendConnectionClose(chunk: Buffer, wanted: string): Buffer {
  const connectionClose = Buffer.from([1, 0, 0, 0, 0, 0, 11, 0, 10, 0, 50, 1, 64, 0, 0, 0, 0, 0, 0xce]);
  return framesIn(chunk).some(({ method }) => method === wanted)
    ? Buffer.concat([chunk, connectionClose])
    : chunk;
}
