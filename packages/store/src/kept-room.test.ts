import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createKeptRoom, type KeptRoom } from './kept-room.ts';

const KEYS_FULL = { code: 'keys-full' };

/** Adds bytes of an owner, or removes them. */
const add = (room: KeptRoom, owner: string, bytes: number) =>
  room.changing(async (change) => change({ owner, bytes }));

describe('room under keys', () => {
  it('is that of each owner, and that of all of a kind', async () => {
    const room = createKeptRoom({ maxBytes: 10, maxOwnerBytes: 6 });
    await add(room, 'key a', 6);
    assert.throws(() => room.assertRoom('key a'), KEYS_FULL);
    await assert.rejects(add(room, 'key b', 5), KEYS_FULL);
    await add(room, 'key b', 4);
    assert.throws(() => room.assertRoom('key c'), KEYS_FULL);
    await add(room, 'result a', 6);
    assert.deepEqual(Object.fromEntries(room.bytes()), { key: 10, result: 6 });
    await add(room, 'key a', -1);
    room.assertRoom('key c');
  });

  it('is taken by what is said last, for as long as it takes and not after it has failed', async () => {
    const room = createKeptRoom({ maxBytes: 10, maxOwnerBytes: 10 });
    const failed = room.changing(async (change) => {
      change({ owner: 'key a', bytes: 8 });
      change({ owner: 'key a', bytes: 7 });
      assert.deepEqual(Object.fromEntries(room.bytes()), { key: 7 });
      await assert.rejects(add(room, 'key b', 4), KEYS_FULL);
      throw new Error('no luck');
    });
    await assert.rejects(failed, /no luck/);
    assert.deepEqual(Object.fromEntries(room.bytes()), {});
  });

  it('is counted anew, and what is added meanwhile counts whether or not it was seen', async () => {
    const room = createKeptRoom({ maxBytes: 10, maxOwnerBytes: 10 });
    await add(room, 'key a', 9);
    const written = Promise.withResolvers<void>();
    const before = room.changing((change) => {
      change({ owner: 'key a', bytes: 1 });
      return written.promise;
    });
    const seen = Promise.withResolvers<{ owner: string; bytes: number }[]>();
    const counted = room.count(() => seen.promise);
    await add(room, 'key a', -8);
    await add(room, 'key b', 2);
    seen.resolve([{ owner: 'key a', bytes: 1 }]);
    await counted;
    assert.deepEqual(Object.fromEntries(room.bytes()), { key: 4 });
    written.resolve();
    await before;
    await room.count(async () => [{ owner: 'key b', bytes: 2 }]);
    assert.deepEqual(Object.fromEntries(room.bytes()), { key: 2 });
  });

  it('says who is refused, and that others are let in', async () => {
    const told: (string | undefined)[] = [];
    const onRefused = (owner: string | undefined) => void told.push(owner);
    const room = createKeptRoom({ maxBytes: 10, maxOwnerBytes: 1, onRefused });
    await add(room, 'key a', 1);
    await assert.rejects(add(room, 'key a', 1), KEYS_FULL);
    await add(room, 'key b', 1);
    assert.deepEqual(told, [undefined, 'key a', undefined]);
  });
});
