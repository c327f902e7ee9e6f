import assert from 'node:assert/strict';
import { it } from 'node:test';
import { AppError, type ErrorCode } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { sendUntilTaken } from './send-until-taken.ts';

function eventFor(ms: number): CloudEvent {
  const expirytime = new Date(Date.now() + ms).toISOString();
  return { specversion: '1.0', id: '1', source: '/test', type: 'Test', expirytime };
}

/** Sends an event whose outcomes are, in order, those codes and then the confirm; resolves with the last one, and how many were needed. */
async function sendAgainst(codes: ErrorCode[], event = eventFor(60_000)) {
  let sent = 0;
  const { send } = sendUntilTaken({
    async send() {
      const code = codes[sent];
      sent += 1;
      return code && new AppError(code, 'no');
    },
  });
  const outcome = await send(event, () => false);
  return { sent, code: outcome?.code };
}

it('sends an event again that no dispatcher takes, or of which nobody knows', async () => {
  const codes: ErrorCode[] = ['not-accepted', 'not-accepted', 'outcome-unknown'];
  assert.deepEqual(await sendAgainst(codes), { sent: 4, code: undefined });
});

it('sends nothing again that was refused', async () => {
  for (const code of ['unroutable', 'too-large', 'handler-failed'] as const)
    assert.deepEqual(await sendAgainst([code]), { sent: 1, code });
});

it('sends nothing again that has no time left', async () => {
  assert.deepEqual(await sendAgainst(['not-accepted'], eventFor(500)), { sent: 1, code: 'not-accepted' });
});

it('says of an event that may have been taken that nobody knows, whatever refuses it later', async () => {
  assert.equal((await sendAgainst(['outcome-unknown', 'unroutable'])).code, 'outcome-unknown');
  assert.equal(
    (await sendAgainst(['outcome-unknown', 'not-accepted'], lastingTwoTries())).code,
    'outcome-unknown',
  );
});

/** An event whose time is over behind its second try. */
function lastingTwoTries(): CloudEvent {
  let asked = 0;
  return Object.defineProperty(eventFor(0), 'expirytime', {
    get: () => new Date(Date.now() + (asked++ === 0 ? 60_000 : 0)).toISOString(),
  });
}
