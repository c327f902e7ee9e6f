import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { freshBroker, type TestBroker } from '../harness/test-broker.ts';
import { startSystem, TIERS, type TierName } from './system.ts';

describe('the tiers', { concurrency: 2 }, () => {
  let broker: TestBroker;
  before(async () => {
    broker = await freshBroker();
  });
  after(() => broker.close());

  for (const order of permutations(TIERS)) {
    test(`answer a ping, started in the order ${order.join(', ')}`, async () => {
      const system = await startSystem({ amqpUrl: broker.url, order });
      try {
        const response = await fetch(`${system.publicWebs[0]?.baseUrl}/ping`);
        assert.equal(response.status, 200);
        assert.equal(((await response.json()) as { type: string }).type, 'PingResponse');
      } finally {
        await system.stop();
      }
    });
  }
});

function permutations(tiers: readonly TierName[]): TierName[][] {
  if (tiers.length < 2) return [[...tiers]];
  return tiers.flatMap((first) =>
    permutations(tiers.filter((tier) => tier !== first)).map((rest) => [first, ...rest]),
  );
}
