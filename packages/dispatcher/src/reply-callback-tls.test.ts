import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { encodeEvent } from '@waybill/common/event/event-json.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { createAuthority, type KeyPair, refusedPairs, trust } from '@waybill/test-harness/certificates.ts';
import { startStandIn } from '@waybill/test-harness/stand-in.ts';
import { pino } from 'pino';
import { keys, newEvent, takeAll } from './dispatcher.fixture.ts';
import { createReplyCallback } from './reply-callback.ts';

const authority = createAuthority();
trust(authority);

/** A public-web with `tls`, which is called twice. */
async function deliverTwice(t: TestContext, tls: KeyPair) {
  const instance = await startStandIn({ keys: keys.call, onBatch: takeAll, tls });
  const reasons: string[] = [];
  const log = pino(
    { level: 'info' },
    { write: (line: string) => void reasons.push(JSON.parse(line).reason) },
  );
  const callback = createReplyCallback({ keys: keys.call, clock: createClockCheck(), log });
  t.after(async () => {
    await callback.close();
    await instance.close();
  });
  const url = `${instance.url}/dispatch`;
  const address = { kind: 'callback', url, instance: 'i', expMs: Date.now() + 60_000 } as const;
  const outcomes: string[] = [];
  for (let call = 0; call < 2; call += 1)
    outcomes.push(await callback.deliver(address, encodeEvent(newEvent('PingResponse'))));
  return { outcomes, reasons, batches: instance.batches };
}

describe('a reply address with TLS', () => {
  it('is delivered to', async (t) => {
    const { outcomes, reasons } = await deliverTwice(t, authority.issue({ names: ['localhost'] }));
    assert.deepEqual(outcomes, ['delivered', 'delivered']);
    assert.deepEqual(reasons, []);
  });

  for (const { why, pair, reason } of refusedPairs(authority))
    it(`gets nothing when it shows a certificate ${why}, and one line says so`, async (t) => {
      const { outcomes, reasons, batches } = await deliverTwice(t, pair);
      assert.deepEqual(outcomes, ['failing', 'failing']);
      assert.deepEqual(batches, []);
      assert.equal(reasons.length, 1);
      assert.match(String(reasons[0]), reason);
    });
});
