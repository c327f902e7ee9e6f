import assert from 'node:assert/strict';
import { it } from 'node:test';
import { callbackAddress } from './callback-address.ts';
import { deriveInternalKeys } from './internal-keys.ts';
import { takesProgress } from './progress.ts';
import { createReplyAddresses } from './reply-address.ts';

it('a public-web says in its reply addresses that it takes progress, and no other kind of address does', () => {
  const { replyAddress: keys } = deriveInternalKeys(['a-secret-of-at-least-32-characters']);
  const current = (address: { kind: string }) =>
    createReplyAddresses({ address, keys, maxDeadlineMs: 1_000 }).current();
  assert.equal(takesProgress(current(callbackAddress('http://127.0.0.1/dispatch', 'web-1'))), true);
  for (const replyto of [current({ kind: 'mailbox' }), 'requester:a.requests.b', '', 'a.b.c', undefined])
    assert.equal(takesProgress(replyto), false, String(replyto));
});
