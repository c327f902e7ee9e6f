import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { KeyStep, StoreCall } from '@waybill/common/internal-call/store-calls.ts';
import { pino } from 'pino';
import { createAnswerCall } from './answer-call.ts';

it('a caller that seems to have gone is told nothing of a claim that was not made', async () => {
  const taken: KeyStep[] = [];
  const takeKeySteps = async (steps: readonly KeyStep[]) => {
    taken.push(...steps);
    return steps.map(() => ({}));
  };
  // Nothing else is asked for.
  const options = { takeKeySteps } as Parameters<typeof createAnswerCall>[0];
  const claim = { step: 'claim', key: 'new', claim: 'c', value: '1', keepMs: 60_000 } as const;
  const keep = { step: 'keep', key: 'answered', value: '2', keepMs: 60_000 } as const;
  const call: StoreCall = { call: 'keys', steps: [claim, keep] };
  const answered = createAnswerCall(options)({
    ...{ body: Buffer.from(JSON.stringify(call)), contentType: 'application/json' },
    ...{ log: pino({ level: 'silent' }), isGone: () => true },
  });
  // It may have closed its half alone, and would take the result of the step behind for that of its claim.
  await assert.rejects(answered, { code: 'client-gone' });
  assert.deepEqual(taken, [keep]);
});
