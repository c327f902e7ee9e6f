import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { untilAnswered } from './until-answered.ts';

const callOf = (cancelled = false) => Object.assign(new EventEmitter(), { cancelled });

test('a caller that goes before its answer is told of, also one that has gone already', async () => {
  const call = callOf();
  const told = untilAnswered(call, (gone) => once(gone, 'abort'));
  call.emit('cancelled');
  await told;
  assert.equal(await untilAnswered(callOf(true), async (gone) => gone.aborted), true);
});

test('one whose call has ended, whether with an answer or a failure, has not gone', async () => {
  for (const end of [() => Promise.resolve(), () => Promise.reject(new Error('no luck'))]) {
    const call = callOf();
    let signal: AbortSignal | undefined;
    await untilAnswered(call, (gone) => {
      signal = gone;
      return end();
    }).catch(() => {});
    call.emit('cancelled');
    assert.equal(signal?.aborted, false);
    assert.equal(call.listenerCount('cancelled'), 0);
  }
});
