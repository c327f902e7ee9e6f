/**
 * What every store of results must keep, as tests:
 *
 *     resultStoreContract('memory', (windowMs) => createMemoryResultStore({ windowMs, maxEvents: 10 }));
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { HandlerResult } from './handler.ts';
import type { ResultStore } from './result-store.ts';

/** Defines the tests of the contract; `open` is called within them. */
export function resultStoreContract(name: string, open: (windowMs: number) => ResultStore): void {
  describe(`the store of results in ${name}`, () => {
    const result: HandlerResult = {
      reply: {
        type: 'Answer',
        id: 'r',
        data: { text: 'é\u2028', large: JSON.rawJSON('12345678901234567890') },
      },
      events: [{ type: 'Further', id: 'f', data_base64: 'AQID' }],
    };

    it('has what was kept under a key, with the digits of all numbers, and nothing under others', async () => {
      const [store, key] = [open(60_000), randomUUID()];
      assert.equal(await store.get(key), undefined);
      await store.set(key, result);
      assert.equal(JSON.stringify(await store.get(key)), JSON.stringify(result));
      assert.equal(await store.get(randomUUID()), undefined);
    });

    it('has a result that is empty', async () => {
      const [store, key] = [open(60_000), randomUUID()];
      await store.set(key, {});
      assert.deepEqual(await store.get(key), {});
    });

    it('has the last one that was kept', async () => {
      const [store, key] = [open(60_000), randomUUID()];
      await store.set(key, {});
      await store.set(key, { reply: { type: 'Answer' } });
      assert.deepEqual(await store.get(key), { reply: { type: 'Answer' } });
    });

    it('forgets it after the window', async () => {
      const [store, key] = [open(1), randomUUID()];
      await store.set(key, result);
      await eventually(async () => assert.equal(await store.get(key), undefined));
    });
  });
}
