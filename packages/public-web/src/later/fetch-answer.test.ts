import assert from 'node:assert/strict';
import { it, mock, type TestContext } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ReadAnswer } from '@waybill/common/internal-call/store-calls.ts';
import { createFetchAnswer } from './fetch-answer.ts';
import type { RequestPlace } from './request-locations.ts';
import type { AskStore } from './store-client.ts';
import { createWatches } from './watches.ts';

const holder = { instance: 'i', url: 'http://127.0.0.1/push' };
const event = { specversion: '1.0' as const, id: 'r', source: '/t', type: 'Pong' };
const place = (changes: Partial<RequestPlace> = {}): RequestPlace => ({
  id: 'key',
  dueMs: Date.now() + 60_000,
  mode: 'plain',
  eventId: 'e',
  apiKeyId: undefined,
  ...changes,
});
const patient = { waitMs: 60_000, onGone: () => {} };

/** A store of which the test says what it has. */
function start(t: TestContext, { maxWaiting = 10 } = {}) {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const store = { found: { state: 'pending' } as ReadAnswer, calls: [] as unknown[] };
  const askStore: AskStore = async (call) => {
    store.calls.push(call);
    return store.found as never;
  };
  const watches = createWatches();
  return { store, watches, answers: createFetchAnswer({ askStore, watches, holder, maxWaiting }) };
}

it('a push ends the wait, without a look at the clock', async (t) => {
  const { store, watches, answers } = start(t);
  const waiting = answers.fetch(place(), patient);
  await nextTurn();
  assert.deepEqual(store.calls, [{ call: 'read-answer', id: 'key', holder }]);
  store.found = { state: 'answered', event };
  watches.tell({ instance: 'i', mailbox: 'another', epoch: '', head: 1 });
  await nextTurn();
  assert.equal(store.calls.length, 1);
  watches.tell({ instance: 'i', mailbox: 'key', epoch: '', head: 1 });
  assert.deepEqual(await waiting, { id: 'e', reply: event });
});

it('an answer of which nobody was told is found within a second', async (t) => {
  const { store, answers } = start(t);
  const waiting = answers.fetch(place(), patient);
  await nextTurn();
  store.found = { state: 'answered', event };
  mock.timers.tick(1_000);
  assert.deepEqual(await waiting, { id: 'e', reply: event });
});

it('a client that goes ends the wait', async (t) => {
  const { answers } = start(t);
  let leave = () => {};
  const onGone = (giveUp: () => void) => {
    leave = giveUp;
  };
  const waiting = answers.fetch(place(), { waitMs: 60_000, onGone });
  await nextTurn();
  leave();
  assert.equal(await waiting, undefined);
});

it('nothing by the deadline of the event, and a little more, is an outcome that nobody knows', async (t) => {
  const { answers } = start(t);
  const none = { ...patient, waitMs: 0 };
  assert.equal(await answers.fetch(place({ dueMs: Date.now() - 4_000 }), none), undefined);
  await assert.rejects(answers.fetch(place({ dueMs: Date.now() - 6_000 }), none), {
    code: 'outcome-unknown',
  });
});

it('one that waits beyond the bound is refused, until another has its answer', async (t) => {
  const { store, watches, answers } = start(t, { maxWaiting: 1 });
  const first = answers.fetch(place(), patient);
  await nextTurn();
  await assert.rejects(answers.fetch(place(), patient), { code: 'not-accepted' });
  store.found = { state: 'answered', event };
  watches.tell({ instance: 'i', mailbox: 'key', epoch: '', head: 1 });
  await first;
  assert.ok(await answers.fetch(place(), patient));
});
