import assert from 'node:assert/strict';
import { it } from 'node:test';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import { createTickets } from './tickets.ts';

const { ticket: keys } = deriveInternalKeys(['a secret that only this test knows']);
const unauthorized = { code: 'unauthorized' };

it('stands for the key it was given for, on any instance, once on each', () => {
  const [one, other] = [createTickets({ keys }), createTickets({ keys })];
  for (const apiKeyId of ['shop', undefined]) {
    const { ticket } = one.issue(apiKeyId);
    for (const instance of [one, other]) {
      assert.equal(instance.redeem(ticket), apiKeyId);
      assert.throws(() => instance.redeem(ticket), unauthorized);
    }
  }
});

it('is worth nothing after 30 s', () => {
  let nowMs = 1_000;
  const tickets = createTickets({ keys, nowMs: () => nowMs });
  const [early, late] = [tickets.issue('shop'), tickets.issue('shop')];
  assert.equal(early.expiresMs, 31_000);
  nowMs = 30_999;
  assert.equal(tickets.redeem(early.ticket), 'shop');
  nowMs = 31_000;
  assert.throws(() => tickets.redeem(late.ticket), unauthorized);
});

it('is taken under the second of two keys, and under no other', () => {
  const [old] = keys;
  const both = deriveInternalKeys([
    'another secret that only this test knows',
    'a secret that only this test knows',
  ]);
  const { ticket } = createTickets({ keys: [old as never] }).issue('shop');
  assert.equal(createTickets({ keys: both.ticket }).redeem(ticket), 'shop');
  assert.throws(() => createTickets({ keys: both.ticket.slice(0, 1) }).redeem(ticket), unauthorized);
});

it('cannot be changed or made up', () => {
  const tickets = createTickets({ keys });
  const { ticket } = tickets.issue('shop');
  const [claims = '', signature] = ticket.split('.');
  const forged = Buffer.from(Buffer.from(claims, 'base64url').toString().replace('shop', 'bank')).toString(
    'base64url',
  );
  for (const text of ['', '.', 'x', claims, `${claims}.`, `${forged}.${signature}`, `${ticket}x`])
    assert.throws(() => tickets.redeem(text), unauthorized, text);
});
