import assert from 'node:assert/strict';
import { it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { AskStore } from '../later/store-client.ts';
import type { HeldSession } from './create-session.ts';
import { createLooks } from './looks.ts';

it('a session in which nothing happens is looked at now and then, also where the clock is set back', async (t) => {
  let looked = 0;
  const session = {
    ...{ mailbox: 'm', fence: 1, fill() {}, isWaiting: () => false, handed: () => 0 },
    looked() {
      looked += 1;
    },
  } as Partial<HeldSession> as HeldSession;
  const askStore = (async ({ call }) => (call === 'look' ? [] : { asOf: 'r.1', mailboxes: [] })) as AskStore;
  const looks = createLooks({ askStore, instance: 'i', sessions: () => [session], everyMs: 1 });
  t.after(() => looks.close());
  await eventually(() => assert.ok(looked > 0));
  const setBackMs = Date.now() - 3_600_000;
  t.mock.timers.enable({ apis: ['Date'], now: setBackMs });
  const before = looked;
  await eventually(() => assert.ok(looked > before));
});
