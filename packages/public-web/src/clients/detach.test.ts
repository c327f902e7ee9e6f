import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import type { StoreCall } from '@waybill/common/internal-call/store-calls.ts';
import { createDetach } from './detach.ts';

const fenceOf = (fence: number) => ({ mailbox: 'm', fence, lastN: -1 });

/** A store that refuses with the errors that there are, one for each call, and takes what comes then. */
function startDetach(...errors: AppError[]) {
  const calls: number[] = [];
  const stopping = new AbortController();
  const detach = createDetach({
    deadlineMs: 1,
    drained: stopping.signal,
    async askStore(call) {
      calls.push((call as StoreCall & { call: 'detach' }).fences.length);
      const error = errors.shift();
      if (error) throw error;
      return {} as never;
    },
  });
  return { detach, calls, stop: () => stopping.abort() };
}

it('tells a store of many fences at once', async () => {
  const { detach, calls } = startDetach();
  await Promise.all(Array.from({ length: 1_200 }, (_, index) => detach(fenceOf(index))));
  assert.deepEqual(calls, [500, 500, 200]);
});

it('tells it again until it answers, and not what it does not understand', async () => {
  const away = new AppError('not-accepted', 'no store answers now');
  const patient = startDetach(away, away);
  assert.equal(await patient.detach(fenceOf(1)), true);
  assert.equal(patient.calls.length, 3);
  const strange = startDetach(new AppError('invalid-request', 'a store knows no such call'));
  assert.equal(await strange.detach(fenceOf(1)), false);
  assert.equal(strange.calls.length, 1);
});

it('gives up when the instance has drained', async () => {
  const away = Array.from({ length: 1_000 }, () => new AppError('not-accepted', 'no store answers now'));
  const { detach, stop } = startDetach(...away);
  const told = detach(fenceOf(1));
  stop();
  assert.equal(await told, false);
});

it('tells it once even when the instance has drained already', async () => {
  const { detach, calls, stop } = startDetach();
  stop();
  assert.equal(await detach(fenceOf(1)), true);
  assert.deepEqual(calls, [1]);
});

it('says that the store has not heard of those for whom too many wait', async () => {
  const { detach } = startDetach();
  for (let index = 0; index < 10_000; index += 1) void detach(fenceOf(index));
  assert.equal(await detach(fenceOf(10_000)), false);
});
