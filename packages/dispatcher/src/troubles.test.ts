import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ReplyAddress } from '@waybill/common/internal-call/reply-address.ts';
import { createTroubles } from './troubles.ts';

test('a management API that hangs delays no answer for longer than a broker may', {
  timeout: 30_000,
}, async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const tellTroubles = createTroubles({
    replyAddresses: { verify: async () => ({}) as ReplyAddress, remembered: 0 },
    checkCallback: async () => undefined,
    publisher: { isDeclared: async () => true },
    subscriber: { consumersOf: async () => 0 },
    findAnswerers: () => new Promise(() => {}),
  });
  const question = { replyto: 'address', types: [], services: ['ping'], wantsAnswerers: true };
  const call = { body: Buffer.from(JSON.stringify(question)) } as Parameters<typeof tellTroubles>[0];
  const answer = tellTroubles(call);
  await nextTurn();
  t.mock.timers.tick(2_000);
  assert.deepEqual(await answer, {
    callback: undefined,
    undeclared: [],
    idle: ['ping'],
    answerers: undefined,
  });
});
