/** What values under keys must keep on every database, as tests; called as `storeContract` is. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { CLAIM_ROOM_BYTES, KEPT_VALUE_MAX_BYTES } from '@waybill/common/internal-call/store-calls.ts';
import { createKeptValues } from './create-kept-values.ts';
import type { Database } from './database.ts';
import { MAX_AT_ONCE } from './forget-old.ts';
import { createKeptRoom } from './kept-room.ts';
import type { KeptValues } from './kept-values.ts';
import { migrate } from './migrations.ts';
import { upsert } from './upsert.ts';

const WINDOW_MS = 60_000;
const bytesOf = (value: string) => 500 + value.length;
const CLAIM_BYTES = 500 + CLAIM_ROOM_BYTES;

/** Defines the tests of the contract. */
export function keptValuesContract(name: string, openDatabase: () => Promise<Database>): void {
  describe(`values under keys on ${name}`, () => {
    let database: Database;
    let values: KeptValues;
    let nowMs = 1_000_000;
    before(async () => {
      database = await openDatabase();
      await migrate(database);
      values = open({ maxBytes: 1e9, maxOwnerBytes: 1e9 }).values;
    });
    after(() => database.close());
    const ofAll = { owner: 'key ', keepMs: WINDOW_MS };
    const claim = (key: string, value: string) =>
      values.claim({ key, claim: `of ${value}`, value, ...ofAll });
    const keep = (key: string, value: string) => values.keep({ key, value, ...ofAll });

    /** What another process has at the same database. */
    function open(bounds: { maxBytes: number; maxOwnerBytes: number }) {
      const room = createKeptRoom(bounds);
      return { room, values: createKeptValues({ database, room, nowMs: () => nowMs }) };
    }

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

    it('are not claimed by a claim that comes after it was released, and are free for others', async () => {
      const key = randomUUID();
      await values.release({ key, claim: 'of late' });
      await assert.rejects(claim(key, 'late'), { code: 'not-accepted' });
      assert.equal(await values.read(key), undefined);
      assert.equal(await claim(key, 'another'), undefined);
      assert.equal(await values.read(key), 'another');
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
      const tooLarge = { key, claim: 'c', value, ...ofAll };
      for (const refused of [values.keep(tooLarge), values.claim(tooLarge)])
        await assert.rejects(refused, { code: 'too-large' });
      assert.equal((await values.read(key))?.length, KEPT_VALUE_MAX_BYTES);
    });

    it('are told to whom they are not too large, and of others that there is one', async () => {
      const [key, text] = [randomUUID(), 'é'.repeat(50)];
      const ask = (maxBytes?: number) => [
        values.read(key, maxBytes),
        values.claim({ key, claim: 'of another', value: 'another', ...ofAll }, maxBytes),
      ];
      assert.equal(await values.read(key, 1), undefined);
      await claim(key, text);
      assert.deepEqual(await Promise.all(ask(99)), [null, null]);
      for (const maxBytes of [100, undefined])
        assert.deepEqual(await Promise.all(ask(maxBytes)), [text, text]);
      const mine = { key, claim: `of ${text}`, value: text, ...ofAll };
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

    describe('have room', () => {
      /** As {@link open}, where nothing is kept yet; each owner has room for two claims, and all have for three. */
      async function openSmall() {
        nowMs += WINDOW_MS;
        await values.forgetOld();
        const { room, values: own } = open({ maxBytes: 3 * CLAIM_BYTES, maxOwnerBytes: 2 * CLAIM_BYTES });
        await own.count();
        const of = (owner: string, key: string) => ({ key: `key ${key}`, owner, keepMs: WINDOW_MS });
        return {
          values: own,
          bytes: () => room.bytes().get('key') ?? 0,
          claim: (owner: string, key: string) => own.claim({ ...of(owner, key), claim: key, value: key }),
          keep: (owner: string, key: string, value: string, otherwise?: string) =>
            own.keep({ ...of(owner, key), value, otherwise }),
          release: (key: string) => own.release({ key: `key ${key}`, claim: key }),
        };
      }

      it('for so many bytes of one owner, and of all; what is there is told nevertheless', async () => {
        const { values: own, ...small } = await openSmall();
        for (const key of ['1', '2']) assert.equal(await small.claim('key a', key), undefined);
        await assert.rejects(small.claim('key a', '3'), { code: 'keys-full' });
        assert.equal(await small.claim('key b', '3'), undefined);
        await assert.rejects(small.claim('key b', '4'), { code: 'keys-full' });
        await small.keep('key a', '1', 'x'.repeat(CLAIM_ROOM_BYTES));
        assert.equal((await small.claim('key a', '1'))?.length, CLAIM_ROOM_BYTES);
        assert.equal(await own.read('key 4'), undefined);
      });

      it('that is let go by an answer, as far as that is smaller, and by a release', async () => {
        const small = await openSmall();
        for (const key of ['1', '2']) await small.claim('key a', key);
        await small.release('1');
        await small.release('never claimed');
        assert.equal(small.bytes(), CLAIM_BYTES);
        await small.claim('key a', '3');
        await small.keep('key a', '2', 'small');
        await small.keep('key a', '2', 'small');
        assert.equal(small.bytes(), CLAIM_BYTES + bytesOf('small'));
        await assert.rejects(small.claim('key a', '4'), { code: 'keys-full' });
        await small.keep('key a', '3', 'small');
        assert.equal(await small.claim('key a', '4'), undefined);
      });

      it('for a large answer, or else for what is given to be kept otherwise', async () => {
        const { values: own, ...small } = await openSmall();
        for (const key of ['1', '2']) await small.claim('key a', key);
        const large = 'x'.repeat(CLAIM_ROOM_BYTES + 1);
        await assert.rejects(small.keep('key a', '1', large), { code: 'keys-full' });
        assert.equal(await own.read('key 1'), '1');
        await small.keep('key a', '1', large, 'no room');
        assert.equal(await own.read('key 1'), 'no room');
        await small.keep('key a', '2', large, 'no room');
        assert.equal(await own.read('key 2'), large);
        await small.keep('key a', '2', 'x'.repeat(KEPT_VALUE_MAX_BYTES + 1), 'no room');
        assert.equal(await own.read('key 2'), 'no room');
        assert.equal(small.bytes(), 2 * bytesOf('no room'));
      });

      it('again when what was claimed by an instance that has died is forgotten, or claimed anew', async () => {
        const small = await openSmall();
        for (const key of ['1', '2']) await small.claim('key a', key);
        nowMs += WINDOW_MS;
        // It is there until it is forgotten.
        await assert.rejects(small.claim('key a', '3'), { code: 'keys-full' });
        await small.values.forgetOld();
        assert.equal(small.bytes(), 0);
        await small.claim('key a', '3');
        nowMs += WINDOW_MS;
        await small.claim('key a', '3');
        assert.equal(small.bytes(), CLAIM_BYTES);
      });

      it('that others have taken too, once they are counted', async () => {
        const [one, two] = [await openSmall(), await openSmall()];
        for (const key of ['1', '2']) await one.claim('key a', key);
        await one.keep('key a', '1', 'small');
        await two.values.count();
        assert.equal(two.bytes(), one.bytes());
        await assert.rejects(two.claim('key a', '3'), { code: 'keys-full' });
        await two.keep('key a', '2', 'small');
        await one.values.count();
        assert.equal(await one.claim('key a', '3'), undefined);
      });

      it('for a key once, however many claim it at once', async () => {
        const small = await openSmall();
        const claims = Array.from({ length: 20 }, (_, index) =>
          small.values.claim({
            key: 'key 1',
            owner: 'key a',
            claim: `${index}`,
            value: '',
            keepMs: WINDOW_MS,
          }),
        );
        await Promise.allSettled(claims);
        assert.equal(small.bytes(), CLAIM_BYTES);
      });

      it('for one of many who ask at once', async () => {
        const small = await openSmall();
        await small.claim('key a', '0');
        const claims = Array.from({ length: 10 }, (_, index) => small.claim('key a', `many ${index}`));
        const claimed = (await Promise.allSettled(claims)).filter(({ status }) => status === 'fulfilled');
        assert.equal(claimed.length, 1);
        assert.equal(small.bytes(), 2 * CLAIM_BYTES);
      });
    });
  });
}
