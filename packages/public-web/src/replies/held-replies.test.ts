import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { createHeldReplies } from './held-replies.ts';
import { createInbox } from './inbox.ts';
import { createParkedRequests } from './parked-requests.ts';

const reply: CloudEvent = { specversion: '1.0', id: 'r1', source: '/test', type: 'PingResponse' };

it('replies are held until their answer is released, also those that come later', () => {
  const held = createHeldReplies({ maxHeldBytes: 100 });
  const answer = held.answer();
  answer.hold(60);
  assert.equal(held.hasRoom(), true);
  held.answer().hold(60);
  assert.deepEqual([held.hasRoom(), held.bytes()], [false, 120]);
  answer.release();
  answer.hold(50);
  assert.deepEqual([held.hasRoom(), held.bytes()], [true, 60]);
});

it('an answer has room for one reply of any size, and for more up to its bound', () => {
  const held = createHeldReplies({ maxAnswerBytes: 100 });
  assert.equal(held.answer().hold(1_000), true);
  const answer = held.answer();
  assert.deepEqual(
    [60, 60, 40, 1].map((bytes) => answer.hold(bytes)),
    [true, false, true, false],
  );
  assert.equal(held.bytes(), 1_100);
});

it('a request whose answer has no room for its reply is told that it was handled', async () => {
  const held = createHeldReplies({ maxAnswerBytes: 100 });
  const inbox = createInbox();
  const parked = createParkedRequests({ inbox, maxParked: 10 });
  const { hold } = held.answer();
  const [first, second] = [parked.park(60_000, 1, hold), parked.park(60_000, 1, hold)];
  const refused = assert.rejects(second.reply, { code: 'handler-failed', message: /handled/ });
  for (const { correlationId } of [first, second])
    assert.equal(inbox.deliver({ ...reply, correlationid: correlationId }, 80), true);
  assert.equal((await first.reply).id, reply.id);
  await refused;
});

it('nothing more is parked while replies that are not read take all the room', async () => {
  let heldBytes = 128 * 1024 * 1024;
  const parked = createParkedRequests({ inbox: createInbox(), maxParked: 10, heldBytes: () => heldBytes });
  assert.throws(
    () => parked.park(60_000, 1),
    (error) => error instanceof AppError && error.code === 'not-accepted',
  );
  heldBytes = 0;
  const { reply: answer, fail } = parked.park(60_000, 1);
  fail(new AppError('client-gone', 'it has gone'));
  await assert.rejects(answer, { code: 'client-gone' });
});
