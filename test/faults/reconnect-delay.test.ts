/** How clients of a broker that is away come back: each at a time of its own, and none after a longer wait than 3 s. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { createAmqpPublisher } from '@waybill/common/broker/amqp-publisher.ts';
import { dispatcherTopology } from '@waybill/common/broker/topology.ts';
import { pino } from 'pino';

const CLIENTS = 8;

describe('clients that lost their broker together', () => {
  it('come back apart from each other', async (t) => {
    const clients = await Promise.all(Array.from({ length: CLIENTS }, () => startClient(t)));
    const ATTEMPTS = 7;
    const times = await Promise.all(clients.map((client) => client.attempts(ATTEMPTS)));

    // The seventh comes after waits of up to 50 to 1,600 ms, each a random part of it: 25 to 800 ms on average.
    const last = times.map((all) => all[ATTEMPTS - 1] as number);
    const spreadMs = Math.max(...last) - Math.min(...last);
    t.diagnostic(`attempt ${ATTEMPTS} of ${CLIENTS} clients within ${Math.round(spreadMs)} ms`);
    assert.ok(spreadMs > 100, `${spreadMs} ms`);
  });

  it('wait no longer, however often they failed', async (t) => {
    // A fiftieth of each longest wait: 60 ms where the cap of 3 s holds, and 1,024 ms where it would not, from the
    // eleventh on.
    t.mock.method(Math, 'random', () => 1 / 50);
    const client = await startClient(t);
    const FROM = 11;
    const times = await client.attempts(FROM + 5);
    const gaps = times.slice(FROM).map((time, index) => time - (times[FROM + index - 1] as number));
    t.diagnostic(`between attempts: ${gaps.map(Math.round)} ms`);
    assert.ok(Math.min(...gaps) < 1_000);
  });
});

/** A publisher, and a broker of its own that takes connections and ends them. */
async function startClient(t: TestContext) {
  const times: number[] = [];
  const server = createServer((socket) => {
    times.push(performance.now());
    server.emit('attempt');
    socket.on('error', () => {}).destroy();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  const publisher = await createAmqpPublisher({
    url: `amqp://127.0.0.1:${port}`,
    name: 'test',
    topology: dispatcherTopology,
    log: pino({ level: 'silent' }),
  });
  t.after(async () => {
    await publisher.close();
    server.close();
  });
  return {
    /** Resolves with the times of the first `count` attempts. */
    async attempts(count: number): Promise<number[]> {
      while (times.length < count) await once(server, 'attempt');
      return times.slice(0, count);
    },
  };
}
