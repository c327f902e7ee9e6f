import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { signRequest } from '@waybill/common/internal-call/http-signature.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import { PROGRESS_TYPE } from '@waybill/common/internal-call/progress.ts';
import {
  type Attached,
  KEPT_VALUE_MAX_BYTES,
  type KeyStep,
  type Page,
  type ReadAnswer,
  type Reserved,
  TOLD_TOGETHER_MAX_BYTES,
} from '@waybill/common/internal-call/store-calls.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { append, call, callAndLeave, newReply, post, randomKey, startStore } from './store.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'waybill-store-'));
after(() => rmSync(folder, { recursive: true }));
const holder = { instance: 'one', url: 'http://127.0.0.1:1/push' };
const attach = async (store: Service, client: string, after?: string): Promise<Attached> => {
  const clients = [{ owner: '', client, ...(after && { after }) }];
  const asked = { call: 'attach', holder, deadlineMs: 1_000, clients } as const;
  const { results } = await call<{ results: Attached[] }>(store, asked);
  return results[0] as Attached;
};
const read = (store: Service, mailbox: string, after?: string) =>
  call<Page>(store, { call: 'read', mailbox, ...(after && { after }) });
const idsOf = ({ entries }: Page) => entries.map(({ event }) => event.id);

describe('a store', () => {
  const url = `sqlite:${join(folder, 'store.db')}`;
  let store: Service;
  before(async () => {
    store = await startStore(url);
    await store.ready();
  });
  after(() => store.stop());

  it('keeps what is appended, as it came and without its reply address', async () => {
    const { mailbox, fence } = await attach(store, 'as it came');
    const id = `${mailbox}.${fence}.0.order%201`;
    const data = JSON.rawJSON('12345678901234567890');
    assert.deepEqual(await append(store, [newReply(id, { replyto: 'x', data })]), ['appended']);
    const text = await (await post(store, '/calls', { call: 'read', mailbox })).text();
    assert.match(text, /"data":12345678901234567890[,}]/);
    const [entry] = (JSON.parse(text) as Page).entries;
    assert.equal(entry?.event.correlationid, id);
    assert.equal(entry?.event.replyto, undefined);
  });

  it('answers every reply of a batch by itself, and says gone to what belongs nowhere', async () => {
    const { mailbox, fence } = await attach(store, 'a batch');
    const replies = ['nowhere', `${mailbox}.${fence}.0`, randomKey(), `${randomKey()}.1.0`].map((id) =>
      newReply(id),
    );
    assert.deepEqual(await append(store, replies), ['gone', 'appended', 'appended', 'gone']);
    assert.deepEqual(await append(store, replies), ['gone', 'repeated', 'repeated', 'gone']);
  });

  it('keeps an answer, for which it takes no progress, until it is cancelled', async () => {
    const id = randomKey();
    assert.deepEqual(await call<ReadAnswer>(store, { call: 'read-answer', id, holder }), {
      state: 'pending',
    });
    const progress = newReply(id, { id: 'progress', type: PROGRESS_TYPE });
    assert.deepEqual(await append(store, [progress, newReply(id)]), ['gone', 'appended']);
    const found = await call<ReadAnswer>(store, { call: 'read-answer', id });
    assert.equal(found.state === 'answered' && found.event.id, `reply to ${id}`);
    await call(store, { call: 'cancel-answer', id });
    assert.deepEqual(await call<ReadAnswer>(store, { call: 'read-answer', id }), { state: 'cancelled' });
  });

  it('takes a slot back for a public-web that is older than it, and tells of one fence', async () => {
    const client = { owner: '', client: 'of an older public-web' };
    const reserved = await call<Reserved>(store, {
      call: 'reserve',
      ...client,
      count: 1,
      deadlineMs: 60_000,
    });
    const { mailbox, fence } = await attach(store, client.client);
    await append(store, [newReply(`${mailbox}.${fence}.0`)]);
    assert.deepEqual(idsOf(await read(store, mailbox)), []);
    const response = await post(store, '/calls', {
      call: 'detach',
      ...reserved,
      lastN: -1,
      deadlineMs: 60_000,
    });
    assert.equal(response.status, 200);
    assert.deepEqual(idsOf(await read(store, mailbox)), [`reply to ${mailbox}.${fence}.0`]);
  });

  it('attaches, reserves and claims nothing for callers that have given it up while it was frozen', async (t) => {
    // However this ends: what is frozen cannot be stopped.
    t.after(() => store.kill('SIGCONT'));
    const of = (client: string) => ({ owner: '', client, deadlineMs: 1_000 });
    const clients = ['one', 'two', 'three', 'four', 'five', 'six'];
    store.kill('SIGSTOP');
    const attaching = { call: 'attach', holder: { ...holder, instance: 'gone' }, deadlineMs: 1_000 } as const;
    for (const client of clients)
      await callAndLeave(store, { ...attaching, clients: [{ owner: '', client }] });
    for (const client of clients) await callAndLeave(store, { call: 'reserve', count: 1, ...of(client) });
    const claim = { step: 'claim', claim: 'gone', value: '', keepMs: 60_000 } as const;
    for (const key of clients) await callAndLeave(store, { call: 'keys', steps: [{ key, ...claim }] });
    store.kill('SIGCONT');
    for (const client of clients) {
      const { fence, previous } = await attach(store, client);
      assert.deepEqual([fence, previous], [1, undefined]);
    }
    const steps = clients.map((key) => ({ step: 'read' as const, key }));
    assert.deepEqual(await call(store, { call: 'keys', steps }), { results: clients.map(() => ({})) });
  });

  it('attaches one client as public-webs asked for it before they did so for many', async () => {
    const asked = { call: 'attach', owner: '', client: 'of before', holder, deadlineMs: 1_000 };
    const response = await post(store, '/calls', asked);
    const { fence, mailbox } = (await response.json()) as Attached;
    assert.deepEqual([response.status, fence, (await attach(store, 'of before')).mailbox], [200, 1, mailbox]);
  });

  it('keeps and releases for callers that have gone while it was frozen, and claims nothing with that', async (t) => {
    t.after(() => store.kill('SIGCONT'));
    const claim = (key: string) => ({ step: 'claim' as const, key, claim: 'c', value: '1', keepMs: 60_000 });
    const read = (key: string) => ({ step: 'read' as const, key });
    await call(store, { call: 'keys', steps: [claim('answered'), claim('released')] });
    const keep = { step: 'keep' as const, key: 'answered', value: '2', keepMs: 60_000 };
    const release = { step: 'release' as const, key: 'released', claim: 'c' };
    store.kill('SIGSTOP');
    await callAndLeave(store, { call: 'keys', steps: [claim('new'), keep] });
    await callAndLeave(store, { call: 'keys', steps: [release] });
    store.kill('SIGCONT');
    const steps = [read('answered'), read('released'), read('new')];
    await eventually(async () =>
      assert.deepEqual(await call(store, { call: 'keys', steps }), { results: [{ value: '2' }, {}, {}] }),
    );
  });

  it('refuses callers that do not sign, and calls that it does not know', async () => {
    for (const path of ['/append', '/calls']) assert.equal((await post(store, path, [], {})).status, 401);
    assert.equal((await post(store, '/calls', { call: 'drop' })).status, 400);
  });
});

it('a store takes each step with a key by itself, and refuses them when all fail', async () => {
  const store = await startStore(`sqlite:${join(folder, 'keys.db')}`);
  await store.ready();
  const keep = (key: string, value: string) => ({ step: 'keep' as const, key, value, keepMs: 60_000 });
  const tooLarge = keep('large', 'x'.repeat(KEPT_VALUE_MAX_BYTES + 1));
  const steps = [keep('a', '1'), tooLarge, { step: 'read' as const, key: 'large' }];
  const results = [{}, { isFailed: true, code: 'too-large' }, {}];
  assert.deepEqual(await call(store, { call: 'keys', steps }), { results });
  assert.equal((await post(store, '/calls', { call: 'keys', steps: [tooLarge] })).status, 413);
  await store.stop();
});

it('a store tells what is large under a key only to a step that is alone', async () => {
  const store = await startStore(`sqlite:${join(folder, 'large.db')}`);
  await store.ready();
  const value = 'x'.repeat(TOLD_TOGETHER_MAX_BYTES + 1);
  const keep = { step: 'keep' as const, key: 'large', value, keepMs: 60_000 };
  const claim = { ...keep, step: 'claim' as const, claim: 'c' };
  const read = (key: string) => ({ step: 'read' as const, key });
  const ask = (...steps: KeyStep[]) => call(store, { call: 'keys', steps });
  await ask(keep, { ...keep, key: 'small', value: value.slice(1) });
  assert.deepEqual(await ask(claim, read('large'), read('small')), {
    results: [{ isLarge: true }, { isLarge: true }, { value: value.slice(1) }],
  });
  for (const step of [claim, read('large')]) assert.deepEqual(await ask(step), { results: [{ value }] });
  await store.stop();
});

it('what listeners sign opens their results, which no other tier signs for, and nothing else', async () => {
  const secret = 'a-secret-that-only-listeners-know';
  const store = await startStore(`sqlite:${join(folder, 'results.db')}`, {
    env: { RESULTS_SECRETS: secret },
  });
  await store.ready();
  const keys = deriveInternalKeys([secret]).call;
  const ask = (path: string, asked: object) =>
    post(store, path, asked, signRequest({ method: 'POST', path, body: JSON.stringify(asked), keys }));
  const kept = { call: 'keep-result', key: 'k', value: '{}', keepMs: 60_000 };
  assert.equal((await ask('/results', kept)).status, 200);
  assert.deepEqual(await (await ask('/results', { call: 'read-result', key: 'k' })).json(), { value: '{}' });
  assert.equal((await ask('/results', { call: 'drop', key: 'k' })).status, 400);
  assert.equal((await post(store, '/results', kept)).status, 401);
  assert.equal((await ask('/calls', { call: 'keys', steps: [] })).status, 401);
  // The keys of public-web are others.
  assert.deepEqual(await call(store, { call: 'keys', steps: [{ step: 'read', key: 'k' }] }), {
    results: [{}],
  });
  await store.stop();
});

it('a store refuses results for which there is no room before their events are handled', async () => {
  const secret = 'a-secret-that-only-listeners-know';
  const start = () =>
    startStore(`sqlite:${join(folder, 'full-results.db')}`, {
      env: { RESULTS_SECRETS: secret, KEPT_VALUES_MAX_OWNER_BYTES: '5000000' },
    });
  let store = await start();
  await store.ready();
  const keys = deriveInternalKeys([secret]).call;
  const ask = async (asked: object) => {
    const [path, body] = ['/results', JSON.stringify(asked)];
    const response = await post(store, path, asked, signRequest({ method: 'POST', path, body, keys }));
    return [response.status, JSON.parse(await response.text()).code];
  };
  const keep = (key: string, value: string) =>
    ask({ call: 'keep-result', key, owner: 'cards', value, keepMs: 60_000 });
  const read = (key: string, owner: string) => ask({ call: 'read-result', key, owner });
  await keep('a', 'x'.repeat(2_499_000));
  await keep('b', 'x'.repeat(2_499_000));
  assert.deepEqual(await keep('c', 'x'.repeat(5_000)), [429, 'keys-full']);
  await keep('c', 'x'.repeat(5_000_000 - 2 * 2_499_500 - 500));
  assert.deepEqual(await read('new', 'cards'), [429, 'keys-full']);
  for (const known of [await read('a', 'cards'), await read('new', 'other')])
    assert.deepEqual(known, [200, undefined]);
  await store.stop();
  // Another process counts what is there.
  store = await start();
  await store.ready();
  assert.deepEqual(await read('new', 'cards'), [429, 'keys-full']);
  await store.stop();
});

it('a store without a secret of listeners takes no results', async () => {
  const store = await startStore(`sqlite:${join(folder, 'no-results.db')}`);
  await store.ready();
  assert.equal((await post(store, '/results', { call: 'read-result', key: 'k' })).status, 404);
  await store.stop();
});

it('a store that is killed between commit and answer has the reply once, however often it is appended', async () => {
  const url = `sqlite:${join(folder, 'killed.db')}`;
  const dying = await startStore(url, { main: 'packages/store/src/die-after-commit.fixture.ts' });
  await dying.ready();
  const { mailbox, fence, epoch } = await attach(dying, 'killed');
  const reply = newReply(`${mailbox}.${fence}.0`);
  await assert.rejects(append(dying, [reply]), /fetch failed/);
  assert.equal((await dying.exited).signal, 'SIGKILL');

  const store = await startStore(url);
  await store.ready();
  assert.deepEqual(await append(store, [reply]), ['repeated']);
  const page = await read(store, mailbox);
  assert.deepEqual(idsOf(page), [reply.id]);
  assert.equal(page.epoch, epoch);
  await store.stop();
});

it('a backup made while the store is at work can be restored, and offsets then begin in another epoch', async () => {
  const [path, backup] = [join(folder, 'live.db'), join(folder, 'backup.db')];
  const store = await startStore(`sqlite:${path}`);
  await store.ready();
  const { mailbox, fence, epoch } = await attach(store, 'ada');
  await append(store, [newReply(`${mailbox}.${fence}.0`)]);
  const tool = (...args: string[]) => execFileSync(process.execPath, ['bin/store-backup.mjs', ...args]);
  tool(path, backup);
  await append(store, [newReply(`${mailbox}.${fence}.1`)]);
  await store.stop();

  tool('--restore', backup, join(folder, 'restored.db'));
  const restored = await startStore(`sqlite:${join(folder, 'restored.db')}`);
  await restored.ready();
  const page = await read(restored, mailbox, `${epoch}.1`);
  assert.notEqual(page.epoch, epoch);
  assert.deepEqual(page.gap, { from: `${epoch}.1`, to: `${page.epoch}.0` });
  assert.deepEqual(idsOf(page), [`reply to ${mailbox}.${fence}.0`]);
  await restored.stop();
});
