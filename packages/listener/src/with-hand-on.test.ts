import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Publisher, PublishOutcome } from '@waybill/common/broker/ports.ts';
import { NoHandlerError } from './no-handler.ts';
import { makeStep } from './step.fixture.ts';
import { withHandOn } from './with-hand-on.ts';

describe('withHandOn', () => {
  const unhandled = { name: 'failed', failure: new NoHandlerError('T') };

  function step({
    publishes,
    unbinds = async () => {},
  }: {
    publishes: PublishOutcome;
    unbinds?: () => Promise<void>;
  }) {
    const published: unknown[] = [];
    const publisher = {
      unbind: unbinds,
      async publish({ to, headers }: { to: unknown; headers: unknown }) {
        published.push({ to, headers });
        return publishes;
      },
    } as unknown as Publisher;
    return { published, handOn: withHandOn(async () => unhandled, { service: 'svc', publisher }) };
  }

  it('gives an event that no handler takes to whoever takes its type now, marked', async () => {
    const { event, context } = makeStep();
    const { handOn, published } = step({ publishes: 'confirmed' });
    assert.deepEqual(await handOn(event, context), { name: 'handed-on' });
    assert.deepEqual(published, [{ to: { type: 'T' }, headers: { 'waybill-handed-on-by': 'svc' } }]);
  });

  it('leaves it to others where nobody takes the type, the broker is away, or it went round once', async () => {
    const away = () => Promise.reject(new Error('away'));
    for (const [options, headers] of [
      [{ publishes: 'unroutable' }, {}],
      [{ publishes: 'confirmed', unbinds: away }, {}],
      [{ publishes: 'confirmed' }, { 'waybill-handed-on-by': 'other' }],
    ] as const) {
      const { event, context } = makeStep({}, headers);
      assert.equal(await step(options).handOn(event, context), unhandled);
    }
  });
});
