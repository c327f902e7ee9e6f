import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createDeadLetter } from './dead-letter.ts';
import type { Failure } from './give-up.ts';
import { TerminalError } from './handler.ts';
import { TooManyHopsError } from './hops.ts';
import { NoHandlerError } from './no-handler.ts';
import { makeStep } from './step.fixture.ts';

describe('dead-lettering', () => {
  async function failureOf(failure: Error) {
    const { event, context } = makeStep();
    const givenUp: Failure[] = [];
    const giveUp = async (_event: unknown, _delivery: unknown, why: Failure) => void givenUp.push(why);
    const outcome = await createDeadLetter({ giveUp })({ name: 'failed', failure }, event, context);
    assert.equal(givenUp.length, 1);
    assert.deepEqual([outcome.name, outcome.failure], [givenUp[0]?.reason, undefined]);
    return givenUp[0] as Failure;
  }

  it('gives up what failed, and tells the client only the message of a TerminalError', async () => {
    const secret = await failureOf(Object.assign(new Error('internals'), { code: 'E_SECRET' }));
    assert.deepEqual(secret, {
      reason: 'handler-failed',
      error: { code: 'E_SECRET', message: 'internals' },
      detail: undefined,
    });
    assert.equal((await failureOf(new TerminalError('declined', 'no money'))).detail, 'no money');
  });

  it('says why: no handler, too many hops, or a handler that failed', async () => {
    const { event } = makeStep();
    const failures = [new NoHandlerError('T'), new TooManyHopsError(event), new Error('mine')];
    const reasons = await Promise.all(failures.map(async (failure) => (await failureOf(failure)).reason));
    assert.deepEqual(reasons, ['no-handler', 'too-many-hops', 'handler-failed']);
  });
});
