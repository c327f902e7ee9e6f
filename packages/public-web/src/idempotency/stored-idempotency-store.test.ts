import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { type CallStore, createCallStore } from '@waybill/common/internal-call/call-store.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import {
  CLAIM_ROOM_BYTES,
  type KeyStep,
  type StoreCall,
  TOLD_TOGETHER_MAX_BYTES,
} from '@waybill/common/internal-call/store-calls.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { needsPostgresql, type Postgresql, startPostgresql } from '@waybill/test-harness/postgresql.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { pino } from 'pino';
import { type AskStore, createAskStore } from '../later/store-client.ts';
import { append, keys, startStore } from '../public-web.fixture.ts';
import { idempotencyStoreContract } from './idempotency-store-contract.fixture.ts';
import { keptUnder } from './kept-under.ts';
import { createStoredIdempotencyStore } from './stored-idempotency-store.ts';

const folder = mkdtempSync(join(tmpdir(), 'waybill-keys-'));
after(() => rmSync(folder, { recursive: true }));

describe('idempotency keys in the store tier, on SQLite', () => atStore(async () => ({})));

describe('idempotency keys in the store tier, on PostgreSQL', { skip: needsPostgresql() }, () => {
  let server: Postgresql;
  after(() => server.stop());
  atStore(async () => {
    server = await startPostgresql();
    return { DATABASE_URL: server.url };
  });
});

function atStore(database: () => Promise<Record<string, string>>): void {
  let store: Service;
  let callStore: CallStore;
  let askStore: AskStore;
  before(async () => {
    store = await startStore(folder, { ...(await database()), KEPT_VALUES_MAX_OWNER_BYTES: '5000000' });
    callStore = createCallStore({ urls: [store.baseUrl], keys: keys.call, clock: createClockCheck() });
    askStore = createAskStore({ store: callStore, log: pino({ level: 'silent' }) });
  });
  after(async () => {
    await callStore.close();
    await store.stop();
  });
  const open = (ask: AskStore, windowMs = 60_000) =>
    createStoredIdempotencyStore({ askStore: ask, windowMs });

  idempotencyStoreContract('the store tier', (windowMs) => open(askStore, windowMs));

  it('are known to every instance', async () => {
    const [one, two, key] = [open(askStore), open(askStore), randomUUID()];
    assert.equal(await one.claim(key, { fingerprint: 'f' }), undefined);
    assert.equal((await two.claim(key, { fingerprint: 'other' }))?.fingerprint, 'f');
    await two.release(key);
    assert.equal((await two.read(key))?.fingerprint, 'f');
  });

  it('lead to where the reply is, once the store has it, though its instance has died', async () => {
    const [dead, other, key] = [open(askStore), open(askStore), randomUUID()];
    const reply = { id: randomBytes(16).toString('base64url'), location: '/requests/x' };
    const claimed = { fingerprint: 'f', dueMs: Date.now() + 60_000 };
    await dead.claim(key, claimed);
    await dead.amend(key, { ...claimed, reply });
    assert.equal((await other.claim(key, claimed))?.answer, undefined);
    const event = {
      specversion: '1.0' as const,
      id: 'r',
      source: '/t',
      type: 'Pong',
      correlationid: reply.id,
    };
    await append(store, [event]);
    for (const found of [await other.claim(key, claimed), await other.read(key)])
      assert.deepEqual([found?.answer?.status, found?.answer?.headers.location], [504, '/requests/x']);
  });

  it('are claimed once by a claim that is carried out twice', async () => {
    const twice: AskStore = async (call) => {
      await askStore(call);
      return askStore(call);
    };
    assert.equal(await open(twice).claim(randomUUID(), { fingerprint: 'f' }), undefined);
  });

  it('are held for nobody after a claim whose answer was lost', async () => {
    const deaf = losing(askStore, 'claim');
    const key = randomUUID();
    await assert.rejects(async () => open(deaf).claim(key, { fingerprint: 'f' }), { code: 'not-accepted' });
    const other = open(askStore);
    await eventually(async () => assert.equal(await other.read(key), undefined));
  });

  for (const step of ['keep', 'release'] as const)
    it(`are told again what the store has not heard: ${step}`, async () => {
      const failing = failingOnce(askStore, step);
      const [instance, key] = [open(failing), randomUUID()];
      await instance.claim(key, { fingerprint: 'f', dueMs: 1 });
      const entry = { fingerprint: 'f', answer: { status: 200, headers: {}, body: 'a' } };
      const told = async () => (step === 'keep' ? instance.keep(key, entry) : instance.release(key));
      await assert.rejects(told, { code: 'not-accepted' });
      const expected = step === 'keep' ? entry : undefined;
      await eventually(async () => assert.deepEqual(await instance.read(key), expected));
    });

  it('are told again what was not sent, but neither a claim that was not sent nor what is refused for good', async () => {
    const told: KeyStep[] = [];
    const ask = (async ({ steps }: { steps: KeyStep[] }) => {
      told.push(...steps);
      return {
        results: steps.map((each) => (isOf('large', each) ? { isFailed: true, code: 'too-large' } : {})),
      };
    }) as unknown as AskStore;
    const instance = open(ask);
    const claims = Array.from({ length: 9_999 }, () => instance.claim(randomUUID(), { fingerprint: 'f' }));
    const large = instance.keep('large', { fingerprint: 'large' });
    // Beyond what the queue takes.
    const refused = [instance.claim('refused', { fingerprint: 'f' })];
    const keeps = Array.from({ length: 20 }, () => instance.keep(randomUUID(), { fingerprint: 'kept' }));
    for (const each of [...refused, ...keeps])
      await assert.rejects(async () => each, { code: 'not-accepted' });
    await assert.rejects(async () => large, { code: 'too-large' });
    await Promise.all(claims);
    await eventually(() => assert.equal(told.filter((each) => isOf('kept', each)).length, 20));
    assert.equal(told.filter((each) => isOf('large', each)).length, 1);
    assert.equal(told.filter(({ step }) => step === 'release').length, 0);
  });

  it('go in one call where they come together, and each gets what is its own', async () => {
    const { calls, counted } = count(askStore);
    const [instance, all] = [open(counted), Array.from({ length: 50 }, () => randomUUID())];
    await Promise.all(all.map((key) => instance.claim(key, { fingerprint: key })));
    assert.equal(calls.length, 1);
    const found = await Promise.all(all.map((key) => open(askStore).read(key)));
    assert.deepEqual(
      found.map((entry) => entry?.fingerprint),
      all,
    );
  });

  it('are had also where many have large answers that are asked for together, and others with them', async () => {
    const [instance, all] = [open(askStore), Array.from({ length: 10 }, () => randomUUID())];
    const body = '"'.repeat(TOLD_TOGETHER_MAX_BYTES / 2);
    const entry = { fingerprint: 'f', answer: { status: 200, headers: {}, body } };
    for (const key of all) await instance.keep(key, entry);
    const { calls, counted } = count(askStore);
    const asked = open(counted);
    const claim = (key: string) => asked.claim(key, { fingerprint: 'f' });
    const innocent = [randomUUID(), randomUUID()];
    const claimed = await Promise.all([...all, ...innocent].map(claim));
    assert.deepEqual(
      claimed.map((each) => each?.answer?.body.length),
      [...all.map(() => body.length), undefined, undefined],
    );
    assert.deepEqual(await asked.read(String(all[0])), entry);
    // None of them is released, for none was refused.
    assert.deepEqual(calls.map(stepsOf), [12, ...Array(11).fill(1)]);
  });

  it('are refused to a caller who has too many, of whose large answers is kept that there was one', async () => {
    const [one, two] = [open(askStore), open(askStore)];
    // 5 MB are 150 claims.
    const keys = Array.from({ length: 151 }, (_, index) => keptUnder('shop', `${index}`));
    const claims = await Promise.allSettled(keys.map(async (key) => one.claim(key, { fingerprint: 'f' })));
    const refused = claims.filter((each) => each.status === 'rejected');
    assert.deepEqual(
      refused.map(({ reason }) => reason.code),
      ['keys-full'],
    );
    assert.equal(await one.claim(keptUnder('other shop', '1'), { fingerprint: 'f' }), undefined);
    const body = 'x'.repeat(2 * CLAIM_ROOM_BYTES);
    const [first] = keys as [string];
    await one.keep(first, { fingerprint: 'f', answer: { status: 200, headers: {}, body } });
    const found = await two.read(first);
    assert.deepEqual([found?.fingerprint, found?.answer?.status], ['f', 504]);
    assert.match(String(found?.answer?.body), /found no room in the store/);
    // Where that has left room, the next one finds some.
    assert.equal(await two.claim(keptUnder('shop', 'late'), { fingerprint: 'f' }), undefined);
  });

  it('are not told to the store, nor what they may be guessed from', async () => {
    const { calls, counted } = count(askStore);
    const instance = open(counted);
    await instance.claim('the secret key', { fingerprint: 'f' });
    await instance.read('the secret key');
    await instance.keep('the secret key', { fingerprint: 'f' });
    assert.equal(calls.length, 3);
    assert.doesNotMatch(JSON.stringify(calls), /secret/);
  });
}

function isOf(fingerprint: string, step: KeyStep): boolean {
  return 'value' in step && JSON.parse(step.value).fingerprint === fingerprint;
}

/** Has the calls that are made. */
function count(askStore: AskStore): { calls: StoreCall[]; counted: AskStore } {
  const calls: StoreCall[] = [];
  const counted: AskStore = (call) => {
    calls.push(call);
    return askStore(call);
  };
  return { calls, counted };
}

function stepsOf(call: StoreCall): number {
  return call.call === 'keys' ? call.steps.length : 0;
}

/** Has `lost` carried out, and its answer lost. */
function losing(askStore: AskStore, lost: KeyStep['step']): AskStore {
  return async (call) => {
    const answer = await askStore(call);
    if (has(call, lost)) throw new AppError('not-accepted', 'no store answers now');
    return answer as never;
  };
}

/** The first `failing` does not get there. */
function failingOnce(askStore: AskStore, failing: KeyStep['step']): AskStore {
  let hasFailed = false;
  return async (call) => {
    if (hasFailed || !has(call, failing)) return askStore(call);
    hasFailed = true;
    throw new AppError('not-accepted', 'no store answers now');
  };
}

function has(call: StoreCall, name: KeyStep['step']): boolean {
  return call.call === 'keys' && call.steps.some(({ step }) => step === name);
}
