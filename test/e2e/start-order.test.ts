import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../harness/free-port.ts';
import { startTcpProxy } from '../harness/tcp-proxy.ts';
import { freshBroker, type TestBroker } from '../harness/test-broker.ts';
import { type SystemOptions, startSystem, TIERS, type TierName } from './system.ts';

describe('the tiers', { concurrency: 2 }, () => {
  let broker: TestBroker;
  before(async () => {
    broker = await freshBroker();
  });
  after(() => broker.close());

  for (const order of permutations(TIERS)) {
    test(`answer a ping, started in the order ${order.join(', ')}`, () =>
      answerPing({ amqpUrl: broker.url, order }));
  }

  test('answer a ping, started before their broker', async (t) => {
    const port = await freePort();
    const url = new URL(broker.url);
    url.host = `127.0.0.1:${port}`;
    await answerPing({
      amqpUrl: url.href,
      async onListening() {
        const proxy = await startTcpProxy({ target: broker.url, port });
        t.after(() => proxy.close());
      },
    });
  });
});

async function answerPing(options: SystemOptions): Promise<void> {
  const system = await startSystem(options);
  try {
    const response = await fetch(`${system.publicWebs[0]?.baseUrl}/ping`);
    assert.equal(response.status, 200);
    assert.equal(((await response.json()) as { type: string }).type, 'PingResponse');
  } finally {
    await system.stop();
  }
}

function permutations(tiers: readonly TierName[]): TierName[][] {
  if (tiers.length < 2) return [[...tiers]];
  return tiers.flatMap((first) =>
    permutations(tiers.filter((tier) => tier !== first)).map((rest) => [first, ...rest]),
  );
}
