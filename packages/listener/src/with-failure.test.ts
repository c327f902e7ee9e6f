import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeStep } from './step.fixture.ts';
import { withFailure } from './with-failure.ts';

describe('withFailure', () => {
  it('makes a failure of what is thrown, and an error of what is none', async () => {
    const { event, context } = makeStep();
    const mine = new Error('mine');
    const failing = (thrown: unknown) => withFailure(() => Promise.reject(thrown))(event, context);
    assert.equal((await failing(mine)).failure, mine);
    assert.ok((await failing('text')).failure instanceof Error);
  });

  it('makes none of an event whose delivery is lost: somebody else gets it', async () => {
    const { event, context, loss } = makeStep();
    const step = withFailure(async () => {
      loss.abort();
      throw new Error('mine');
    });
    await assert.rejects(step(event, context));
  });
});
