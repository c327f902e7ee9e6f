import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { AppError } from '../errors.ts';
import { deriveInternalKeys } from './internal-keys.ts';

const current = 'current-secret-current-secret-01';
const previous = 'previous-secret-previous-secret1';

/** RFC 5869 by hand: extract with an empty salt, expand by one block. */
function hkdfByHand(secret: string, info: string): Buffer {
  const pseudoRandomKey = createHmac('sha256', Buffer.alloc(32)).update(secret).digest();
  return createHmac('sha256', pseudoRandomKey)
    .update(info)
    .update(Buffer.from([1]))
    .digest();
}

function assertInvalidConfig(secrets: string[], message: RegExp): void {
  assert.throws(
    () => deriveInternalKeys(secrets),
    (error) => error instanceof AppError && error.code === 'invalid-config' && message.test(error.message),
  );
}

test('derives a key per purpose and a kid by HKDF-SHA256 (RFC 5869)', () => {
  const { call, replyAddress } = deriveInternalKeys([current]);
  const kid = hkdfByHand(current, 'waybill/kid').toString('hex').slice(0, 8);
  assert.deepEqual(call, [{ kid, secret: hkdfByHand(current, 'waybill/call') }]);
  assert.deepEqual(replyAddress, [{ kid, secret: hkdfByHand(current, 'waybill/reply-address') }]);
});

test('keeps the order of two secrets, and the keys of one do not depend on the other', () => {
  const rotating = deriveInternalKeys([current, previous]);
  const before = deriveInternalKeys([previous]);
  const after = deriveInternalKeys([current]);
  assert.deepEqual(rotating.call, [...after.call, ...before.call]);
  assert.deepEqual(rotating.replyAddress, [...after.replyAddress, ...before.replyAddress]);
});

test('refuses a secret shorter than 32 characters without quoting it', () => {
  const short = 'x'.repeat(31);
  assertInvalidConfig([short], /at least 32 characters/);
  assertInvalidConfig([current, short], /at least 32 characters/);
  assertInvalidConfig([short], /^(?!.*xxx)/);
});

test('refuses no secret, three secrets, and the same secret twice', () => {
  assertInvalidConfig([], /not 0/);
  assertInvalidConfig([current, previous, 'third-secret-third-secret-third!'], /not 3/);
  assertInvalidConfig([current, current], /must differ/);
});
