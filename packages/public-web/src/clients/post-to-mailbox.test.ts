import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '@waybill/common/errors.ts';
import type { ClosedFence } from '@waybill/common/internal-call/store-calls.ts';
import { createPostToMailbox } from './post-to-mailbox.ts';
import { newPing, requester } from './sessions.fixture.ts';

const options = { client: 'c', apiKeyId: undefined, ...requester };

/** Posts an event that no dispatcher takes, which is known only when `deadlineMs` has passed if `isLate`. */
function post({ isLate, detach }: { isLate: boolean; detach(fence: ClosedFence): Promise<void> }) {
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
  const detach = async (fence: ClosedFence) => void fences.push(fence);
  await assert.rejects(post({ isLate: false, detach }), { code: 'not-accepted' });
  assert.deepEqual(fences, [{ mailbox: 'm', fence: 1, lastN: -1 }]);
});

it('says that the outcome is unknown when the slot has been filled by then, for the mailbox says so, too', async () => {
  await assert.rejects(post({ isLate: true, detach: async () => {} }), { code: 'outcome-unknown' });
});
