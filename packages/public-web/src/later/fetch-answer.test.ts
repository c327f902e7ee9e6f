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
  const stopping = new AbortController();
  const answers = createFetchAnswer({ askStore, watches, holder, maxWaiting, stopping: stopping.signal });
  return { store, watches, answers, stop: () => stopping.abort() };
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

it('a push while the store is asked has it asked once more, for it may have said that there is none', async (t) => {
  const { store, watches, answers } = start(t);
  const waiting = answers.fetch(place(), patient);
  assert.equal(store.calls.length, 1);
  store.found = { state: 'answered', event };
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

it('an answer that is long in coming is looked for after 1, 2, 4, and then each 5 s, for all that wait as for one', async (t) => {
  const { store, answers } = start(t, { maxWaiting: 100 });
  const waiting = Array.from({ length: 100 }, () => answers.fetch(place(), patient));
  await nextTurn();
  // Those that came second have it looked for once more, together.
  assert.equal(store.calls.length, 2);
  for (const [index, ms] of [2_000, 4_000, 5_000, 5_000].entries()) {
    mock.timers.tick(ms - 1);
    await nextTurn();
    assert.equal(store.calls.length, 2 + index);
    mock.timers.tick(1);
    await nextTurn();
    assert.equal(store.calls.length, 3 + index);
  }
  store.found = { state: 'answered', event };
  mock.timers.tick(5_000);
  assert.equal(new Set(await Promise.all(waiting)).size, 1);
  assert.equal(store.calls.length, 7);
});

it('whoever joins a wait is told at once what is there by now', async (t) => {
  const { store, answers } = start(t);
  const waiting = answers.fetch(place(), patient);
  await nextTurn();
  store.found = { state: 'answered', event };
  assert.deepEqual(await answers.fetch(place(), patient), { id: 'e', reply: event });
  assert.deepEqual(await waiting, { id: 'e', reply: event });
});

it('the wait of others goes on when one leaves, and nobody looks any more when the last has', async (t) => {
  const { store, answers } = start(t);
  const leave: (() => void)[] = [];
  const onGone = (giveUp: () => void) => void leave.push(giveUp);
  const waiting = [1, 2].map(() => answers.fetch(place(), { waitMs: 60_000, onGone }));
  await nextTurn();
  leave[0]?.();
  await waiting[0];
  const before = store.calls.length;
  mock.timers.tick(5_000);
  await nextTurn();
  assert.equal(store.calls.length, before + 1);
  leave[1]?.();
  await waiting[1];
  mock.timers.tick(60_000);
  await nextTurn();
  assert.equal(store.calls.length, before + 1);
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

it('whoever waits at an instance that stops is told at once that the answer is still to come', async (t) => {
  const { answers, stop } = start(t);
  const waiting = answers.fetch(place(), patient);
  await nextTurn();
  stop();
  assert.equal(await waiting, undefined);
  assert.equal(await answers.fetch(place(), patient), undefined);
});
