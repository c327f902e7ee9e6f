import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createFindApiKey, parseApiKeys } from './api-keys.ts';

const hashOf = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`;
const entry = { id: 'shop', hash: hashOf('key of shop') };
const CANARY = 'canary-key-in-place-of-its-hash';

describe('API keys', () => {
  it('are found by the key whose hash they have, and by nothing else', () => {
    const other = { id: 'other', hash: hashOf('key of other') };
    const find = createFindApiKey([entry, other]);
    assert.deepEqual([find('key of shop'), find('key of other')], [entry, other]);
    for (const shown of ['', 'key of', 'key of shop ', entry.hash, entry.hash.slice(7), 'shop'])
      assert.equal(find(shown), undefined);
  });

  it('may have a rate, a burst, types, and leave to name clients', () => {
    const full = { ...entry, rate: 0.5, burst: 10, types: ['PingRequest', 'Shop.*', '*'], clients: true };
    assert.deepEqual(parseApiKeys(JSON.stringify([full])), [full]);
  });

  const faults: Record<string, [text: string, reason: RegExp]> = {
    'no JSON': [CANARY, /it is not JSON/],
    'no array': [JSON.stringify(entry), /JSON array/],
    none: ['[]', /1 to 256 keys/],
    'too many': [JSON.stringify(Array(257).fill(entry)), /1 to 256 keys/],
    'no object': ['[null]', /number 1 is no object/],
    'no id': [JSON.stringify([{ hash: entry.hash }]), /id of number 1/],
    'a key in place of its hash': [JSON.stringify([{ ...entry, hash: CANARY }]), /hash of number 1/],
    'a hash of another kind': [JSON.stringify([{ ...entry, hash: 'md5:00' }]), /hash of number 1/],
    'a rate of 0': [JSON.stringify([{ ...entry, rate: 0 }]), /rate of number 1/],
    'a rate in quotes': [JSON.stringify([{ ...entry, rate: '5' }]), /rate of number 1/],
    'a burst below 1': [JSON.stringify([{ ...entry, burst: 0.5 }]), /burst of number 1/],
    'a type that is none': [JSON.stringify([{ ...entry, types: ['a b'] }]), /types of number 1/],
    'one type instead of an array': [JSON.stringify([{ ...entry, types: 'A' }]), /types of number 1/],
    'clients that is no boolean': [JSON.stringify([{ ...entry, clients: 'yes' }]), /clients of number 1/],
    'a misspelt member': [JSON.stringify([{ ...entry, type: ['A'] }]), /a member that no key has/],
    'one id twice': [JSON.stringify([entry, { ...entry, hash: hashOf('x') }]), /the same id/],
    'one hash twice': [JSON.stringify([entry, { ...entry, id: 'x' }]), /the same hash/],
  };
  for (const [name, [text, reason]] of Object.entries(faults))
    it(`are refused, without being repeated: ${name}`, () => {
      const isRefusal = ({ message }: Error) => reason.test(message) && !message.includes(CANARY);
      assert.throws(() => parseApiKeys(text), isRefusal);
    });
});

describe('bin/make-api-key.mjs', () => {
  const program = fileURLToPath(new URL('../../../../bin/make-api-key.mjs', import.meta.url));

  it('prints a new key each time, and the entry by which it is found', () => {
    const keys = ['shop', 'shop'].map((name) => {
      const { stdout, stderr, status } = spawnSync(process.execPath, [program, name], { encoding: 'utf8' });
      assert.equal(status, 0);
      const key = /waybill_[\w-]{43}/.exec(stderr)?.[0] ?? '';
      assert.ok(!stdout.includes(key));
      assert.equal(createFindApiKey(parseApiKeys(`[${stdout}]`))(key)?.id, 'shop');
      return key;
    });
    assert.notEqual(keys[0], keys[1]);
  });

  it('wants one name that can stand in logs', () => {
    for (const args of [[], ['a b'], ['a', 'b']])
      assert.throws(() => execFileSync(process.execPath, [program, ...args], { stdio: 'pipe' }), /usage: /);
  });
});
