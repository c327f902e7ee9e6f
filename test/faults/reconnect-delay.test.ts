/**
 * How clients of a broker that is away come back: each process at a time of its own, all its connections together, and
 * none after a longer wait than 3 s.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { createAmqpPublisher } from '@waybill/common/broker/amqp-publisher.ts';
import { dispatcherTopology } from '@waybill/common/broker/amqp-topology.ts';
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

  it('come back with all connections of their process', async (t) => {
    const { url, attempts } = await startBroker(t);
    await Promise.all([startPublisher(t, url), startPublisher(t, url)]);
    const PAIRS = 8;
    const times = await attempts(2 * PAIRS);
    // The first few may cross each other.
    const gaps = times.slice(-9).map((time, index) => time - (times.at(index - 10) as number));
    const sum = (parity: number) =>
      gaps.filter((_, index) => index % 2 === parity).reduce((total, gap) => total + gap, 0);
    const [withinPairs = 0, between = 0] = [sum(0), sum(1)].sort((a, b) => a - b);
    t.diagnostic(`${Math.round(withinPairs)} ms within pairs, ${Math.round(between)} ms between them`);
    assert.ok(withinPairs < between / 4);
  });

  it('wait no longer, however often they failed', async (t) => {
    // A fiftieth of each longest wait: 60 ms where the cap of 3 s holds, and 100 ms where it was 5 s, from the eleventh
    // on.
    t.mock.method(Math, 'random', () => 1 / 50);
    const client = await startClient(t);
    const FROM = 11;
    const times = await client.attempts(FROM + 5);
    const gaps = times.slice(FROM).map((time, index) => time - (times[FROM + index - 1] as number));
    t.diagnostic(`between attempts: ${gaps.map(Math.round)} ms`);
    assert.ok(Math.min(...gaps) < 90);
  });
});

/** A publisher with a broker of its own. */
async function startClient(t: TestContext) {
  const broker = await startBroker(t);
  await startPublisher(t, broker.url);
  return broker;
}

async function startPublisher(t: TestContext, url: string): Promise<void> {
  const log = pino({ level: 'silent' });
  const publisher = await createAmqpPublisher({ url, name: 'test', topology: dispatcherTopology, log });
  t.after(() => publisher.close());
}

/** What takes connections and ends them. */
async function startBroker(t: TestContext) {
  const times: number[] = [];
  const server = createServer((socket) => {
    times.push(performance.now());
    server.emit('attempt');
    socket.on('error', () => {}).destroy();
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  t.after(() => void server.close());
  return {
    url: `amqp://127.0.0.1:${port}`,
    /** Resolves with the times of the first `count` attempts. */
    async attempts(count: number): Promise<number[]> {
      while (times.length < count) await once(server, 'attempt');
      return times.slice(0, count);
    },
  };
}
