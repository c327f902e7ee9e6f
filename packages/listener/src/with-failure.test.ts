import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { makeStep } from './step.fixture.ts';
import type { Remedy } from './step.ts';
import { withFailure } from './with-failure.ts';

describe('withFailure', () => {
  it('makes a failure of what is thrown, and an error of what is none', async () => {
    const { event, context } = makeStep();
    const mine = new Error('mine');
    const failing = (thrown: unknown) =>
      withFailure(() => Promise.reject(thrown), { remedies: [] })(event, context);
    assert.equal((await failing(mine)).failure, mine);
    assert.ok((await failing('text')).failure instanceof Error);
  });

  it('has the remedies deal with it in their order, until one has', async () => {
    const { event, context } = makeStep();
    const asked: string[] = [];
    const leaving =
      (name: string): Remedy =>
      async (failed, ...given) => {
        asked.push(name, failed.failure.message);
        assert.deepEqual(given, [event, context]);
        return name === 'second' ? { name: 'failed', failure: new Error('worse') } : failed;
      };
    const done = { name: 'done' };
    const remedies = [leaving('first'), leaving('second'), leaving('third'), () => done, () => assert.fail()];
    const step = withFailure(() => Promise.reject(new Error('mine')), { remedies });
    assert.equal(await step(event, context), done);
    assert.deepEqual(asked, ['first', 'mine', 'second', 'mine', 'third', 'worse']);
  });

  it('leaves alone what did not fail, and lets out what a remedy throws', async () => {
    const { event, context } = makeStep();
    const outcome = { name: 'handled' };
    const remedies = [() => Promise.reject(new Error('the broker is away'))];
    assert.equal(await withFailure(async () => outcome, { remedies })(event, context), outcome);
    const failing = withFailure(() => Promise.reject(new Error('mine')), { remedies });
    await assert.rejects(failing(event, context), /the broker is away/);
  });

  it('makes none of an event whose delivery is lost: somebody else gets it', async () => {
    const { event, context, loss } = makeStep();
    const step = withFailure(
      async () => {
        loss.abort();
        throw new Error('mine');
      },
      { remedies: [() => assert.fail()] },
    );
    await assert.rejects(step(event, context), /mine|unexpected/);
  });
});
