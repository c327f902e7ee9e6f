/** What values under keys must keep on every database, as tests; called as `storeContract` is. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { KEPT_VALUE_MAX_BYTES } from '@waybill/common/internal-call/store-calls.ts';
import type { Database } from './database.ts';
import { MAX_AT_ONCE } from './forget-old.ts';
import { createKeptValues, type KeptValues } from './kept-values.ts';
import { migrate } from './migrations.ts';
import { upsert } from './upsert.ts';

const WINDOW_MS = 60_000;

/** Defines the tests of the contract. */
export function keptValuesContract(name: string, open: () => Promise<Database>): void {
  describe(`values under keys on ${name}`, () => {
    let database: Database;
    let values: KeptValues;
    let nowMs = 1_000_000;
    before(async () => {
      database = await open();
      await migrate(database);
      values = createKeptValues({ database, nowMs: () => nowMs });
    });
    after(() => database.close());
    const claim = (key: string, value: string) =>
      values.claim({ key, claim: `of ${value}`, value, keepMs: WINDOW_MS });
    const keep = (key: string, value: string) => values.keep({ key, value, keepMs: WINDOW_MS });

    it('are claimed by one of many who ask at once, and all others are told by whom', async () => {
      const key = randomUUID();
      const claims = Array.from({ length: 20 }, (_, index) => `claim ${index}`);
      const told = await Promise.all(claims.map((each) => claim(key, each)));
      const winner = claims[told.indexOf(undefined)];
      assert.deepEqual(
        told.filter((each) => each !== undefined),
        Array.from({ length: 19 }, () => winner),
      );
      assert.equal(await values.read(key), winner);
    });

    it('are kept in place of a claim, for others as they are', async () => {
      const key = randomUUID();
      await claim(key, 'claim');
      const value = JSON.stringify({ text: 'é\u2028\0"' });
      await keep(key, value);
      assert.equal(await claim(key, 'another'), value);
      assert.equal(await values.read(key), value);
      assert.equal(await values.read(randomUUID()), undefined);
    });

    it('are claimed again by whom they are claimed, who may not have heard of it', async () => {
      const key = randomUUID();
      assert.equal(await claim(key, 'mine'), undefined);
      assert.equal(await claim(key, 'mine'), undefined);
      await keep(key, 'value');
      assert.equal(await claim(key, 'mine'), 'value');
    });

    it('are released by whom they are claimed, and can be claimed again, but not what was kept since', async () => {
      const key = randomUUID();
      await claim(key, 'mine');
      await values.release({ key, claim: 'of another' });
      assert.equal(await values.read(key), 'mine');
      await values.release({ key, claim: 'of mine' });
      assert.equal(await values.read(key), undefined);
      assert.equal(await claim(key, 'another'), undefined);
      await keep(key, 'value');
      await values.release({ key, claim: 'of another' });
      assert.equal(await values.read(key), 'value');
    });

    it('are amended by whom they are claimed, until something else is kept', async () => {
      const key = randomUUID();
      await claim(key, 'mine');
      await values.amend({ key, claim: 'of another', value: 'amended by another' });
      assert.equal(await values.read(key), 'mine');
      await values.amend({ key, claim: 'of mine', value: 'amended' });
      assert.equal(await claim(key, 'another'), 'amended');
      await keep(key, 'value');
      await values.amend({ key, claim: 'of mine', value: 'too late' });
      assert.equal(await values.read(key), 'value');
    });

    it('are there for the window, counted from when they were kept, and not after it', async () => {
      const key = randomUUID();
      await claim(key, 'claim');
      nowMs += WINDOW_MS - 1;
      assert.equal(await values.read(key), 'claim');
      await keep(key, 'value');
      nowMs += WINDOW_MS - 1;
      assert.equal(await claim(key, 'early'), 'value');
      nowMs += 1;
      assert.equal(await values.read(key), undefined);
      assert.equal(await claim(key, 'late'), undefined);
      assert.equal(await values.read(key), 'late');
    });

    it('are refused where they are too large, and what is there stays', async () => {
      const key = randomUUID();
      await keep(key, 'x'.repeat(KEPT_VALUE_MAX_BYTES));
      const value = `é${'x'.repeat(KEPT_VALUE_MAX_BYTES - 1)}`;
      const tooLarge = { key, claim: 'c', value, keepMs: WINDOW_MS };
      for (const refused of [values.keep(tooLarge), values.claim(tooLarge)])
        await assert.rejects(refused, { code: 'too-large' });
      assert.equal((await values.read(key))?.length, KEPT_VALUE_MAX_BYTES);
    });

    it('are told to whom they are not too large, and of others that there is one', async () => {
      const [key, text] = [randomUUID(), 'é'.repeat(50)];
      const ask = (maxBytes?: number) => [
        values.read(key, maxBytes),
        values.claim({ key, claim: 'of another', value: 'another', keepMs: WINDOW_MS }, maxBytes),
      ];
      assert.equal(await values.read(key, 1), undefined);
      await claim(key, text);
      assert.deepEqual(await Promise.all(ask(99)), [null, null]);
      for (const maxBytes of [100, undefined])
        assert.deepEqual(await Promise.all(ask(maxBytes)), [text, text]);
      const mine = { key, claim: `of ${text}`, value: text, keepMs: WINDOW_MS };
      assert.equal(await values.claim(mine, 1), undefined);
    });

    it('are all forgotten when their time is over, however many, and others stay', async () => {
      nowMs += WINDOW_MS;
      await values.forgetOld();
      await keep('stays', 'value');
      const expired = () => ({ id: randomUUID(), value: '{}', expires_ms: nowMs });
      const rows = Array.from({ length: 2 * MAX_AT_ONCE + 1 }, expired);
      await database.transaction((sql) => upsert(sql, 'kept_values', ['id'], rows));
      let asked = 0;
      const isStopping = () => ++asked > 1;
      assert.equal(await values.forgetOld(isStopping), MAX_AT_ONCE);
      assert.equal(await values.forgetOld(), MAX_AT_ONCE + 1);
      assert.equal(await values.read('stays'), 'value');
    });
  });
}
