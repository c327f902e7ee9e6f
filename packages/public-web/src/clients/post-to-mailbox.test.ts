import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '@waybill/common/errors.ts';
import type { ClosedFence, StoreCall } from '@waybill/common/internal-call/store-calls.ts';
import { createDetach } from './detach.ts';
import { createPostToMailbox } from './post-to-mailbox.ts';
import { newPing, requester } from './sessions.fixture.ts';

const options = { client: 'c', apiKeyId: undefined, ...requester };

/** Posts an event that no dispatcher takes, which is known only when `deadlineMs` has passed if `isLate`. */
function post({ isLate, detach }: { isLate: boolean; detach(fence: ClosedFence): Promise<boolean> }) {
  const deadlineMs = isLate ? 20 : 60_000;
  const postToMailbox = createPostToMailbox({
    deadlineMs,
    detach,
    askStore: async () => ({ mailbox: 'm', fence: 1 }) as never,
    async sendToSlot() {
      if (isLate) await delay(2 * deadlineMs);
      return new AppError('not-accepted', 'no dispatcher');
    },
  });
  return postToMailbox(newPing('a'), options);
}

it('says that an event was not accepted when its slot is taken back', async () => {
  const fences: ClosedFence[] = [];
  const detach = async (fence: ClosedFence) => fences.push(fence) > 0;
  await assert.rejects(post({ isLate: false, detach }), { code: 'not-accepted' });
  assert.deepEqual(fences, [{ mailbox: 'm', fence: 1, lastN: -1 }]);
});

it('says that the outcome is unknown when the slot has been filled by then, for the mailbox says so, too', async () => {
  await assert.rejects(post({ isLate: true, detach: async () => true }), { code: 'outcome-unknown' });
});

it('says that the outcome is unknown when the store has not heard that the slot is taken back', async () => {
  await assert.rejects(post({ isLate: false, detach: async () => false }), { code: 'outcome-unknown' });
});

it('takes the slot of a refused event back while the instance drains', async () => {
  const calls: StoreCall['call'][] = [];
  const draining = new AbortController();
  const askStore = async ({ call }: StoreCall) => {
    calls.push(call);
    return { mailbox: 'm', fence: 1 } as never;
  };
  const postToMailbox = createPostToMailbox({
    deadlineMs: 60_000,
    askStore,
    detach: createDetach({ askStore, deadlineMs: 60_000, drained: draining.signal }),
    async sendToSlot() {
      draining.abort();
      return new AppError('not-accepted', 'no dispatcher');
    },
  });
  await assert.rejects(postToMailbox(newPing('a'), options), { code: 'not-accepted' });
  assert.deepEqual(calls, ['reserve', 'detach']);
});
