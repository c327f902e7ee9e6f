/**
 * What every store of idempotency keys must keep, as tests:
 *
 *     idempotencyStoreContract('memory', (windowMs) => createMemoryIdempotencyStore({ windowMs, maxKeys: 100 }));
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { IdempotencyEntry, IdempotencyStore } from './idempotency-store.ts';

/** Defines the tests of the contract. `open` is called within them, and what it opens has the same keys each time or others. */
export function idempotencyStoreContract(name: string, open: (windowMs: number) => IdempotencyStore): void {
  describe(`the store of idempotency keys in ${name}`, () => {
    const claimed: IdempotencyEntry = { fingerprint: 'f', dueMs: 1_000 };
    const answered = (body: string | Buffer): IdempotencyEntry => ({
      fingerprint: 'f',
      answer: { status: 200, headers: { 'content-type': 'text/plain', 'ce-id': 'é "' }, body },
    });

    it('gives a key to the first who claims it, and tells the others by what', async () => {
      const [store, key] = [open(60_000), randomUUID()];
      assert.equal(await store.read(key), undefined);
      const told = await Promise.all([1, 2, 3].map((n) => store.claim(key, { ...claimed, dueMs: n })));
      const [winner] = [1, 2, 3].filter((n) => told[n - 1] === undefined);
      const entry = { ...claimed, dueMs: winner };
      assert.deepEqual(
        told.filter((each) => each !== undefined),
        [entry, entry],
      );
      assert.deepEqual(await store.read(key), entry);
    });

    for (const body of ['{"a":"é\u2028"}', '', Buffer.from([0, 1, 0xff])])
      it(`has an answer in place of its claim, as it was: ${JSON.stringify(body)}`, async () => {
        const [store, key] = [open(60_000), randomUUID()];
        await store.claim(key, claimed);
        await store.keep(key, answered(body));
        assert.deepEqual(await store.claim(key, claimed), answered(body));
        assert.deepEqual(await store.read(key), answered(body));
      });

    it('says of a claim where its reply may be found, until it has its answer', async () => {
      const [store, key] = [open(60_000), randomUUID()];
      const located = { ...claimed, reply: { id: 'r'.repeat(22), location: '/requests/r' } };
      await store.claim(key, claimed);
      await store.amend(key, located);
      assert.deepEqual(await store.read(key), located);
      assert.deepEqual(await store.claim(key, claimed), located);
      await store.keep(key, answered('a'));
      await store.amend(key, located);
      assert.deepEqual(await store.read(key), answered('a'));
    });

    it('takes a claim back, as though the key had never been used', async () => {
      const [store, key] = [open(60_000), randomUUID()];
      await store.claim(key, claimed);
      await store.release(key);
      assert.equal(await store.read(key), undefined);
      assert.equal(await store.claim(key, claimed), undefined);
    });

    it('keeps the keys of different callers apart', async () => {
      const store = open(60_000);
      await store.claim('["one","key"]', claimed);
      assert.equal(await store.claim('["two","key"]', claimed), undefined);
    });

    it('forgets claims and answers after the window', async () => {
      const [store, keys] = [open(1), [randomUUID(), randomUUID()]];
      for (const key of keys) await store.claim(key, claimed);
      await store.keep(String(keys[0]), answered('a'));
      for (const key of keys) await eventually(async () => assert.equal(await store.read(key), undefined));
    });
  });
}
