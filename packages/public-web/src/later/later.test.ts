import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type CloudEvent, expiryMs } from '@waybill/common/event/event.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import {
  append,
  confirmAll,
  type Dispatcher,
  pong,
  postReplies,
  push,
  startDispatcher,
  startPublicWeb,
  startStore,
} from '../public-web.fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'waybill-later-'));
after(() => rmSync(folder, { recursive: true }));
const KEYS = ['first', 'second'];
const hashOf = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`;

type Told = { code?: string; location?: string; type?: string; id?: string };

describe('answers that are fetched later', () => {
  let store: Service;
  let dispatcher: Dispatcher;
  let publicWeb: Service;
  before(async () => {
    store = await startStore(folder);
    dispatcher = await startDispatcher({ onBatch: confirmAll });
    publicWeb = await startPublicWeb([dispatcher], {
      STORE_URLS: store.baseUrl,
      DEADLINE_MS: '20000',
      API_KEYS: JSON.stringify(KEYS.map((id) => ({ id, hash: hashOf(id) }))),
    });
  });
  after(async () => {
    await publicWeb.stop();
    await dispatcher.close();
    await store.stop();
  });

  /** Sends what a client sends; resolves with what it is answered. */
  function call(path: string, init: RequestInit = {}, key = 'first'): Promise<Response> {
    return fetch(`${publicWeb.baseUrl}${path}`, { ...init, headers: { 'x-api-key': key, ...init.headers } });
  }

  /** Posts a ping in structured mode, and resolves with its answer and the event as the dispatcher has it. */
  async function ask(headers: Record<string, string>, body = newPing()) {
    const index = dispatcher.batches.length;
    const type = { 'content-type': 'application/cloudevents+json' };
    const response = await call('/events', { method: 'POST', body, headers: { ...type, ...headers } });
    const event = dispatcher.batches[index]?.[0] as CloudEvent;
    const location = response.headers.get('location') ?? '';
    return { response, location, event, told: (await response.json()) as Told };
  }

  const newPing = () =>
    JSON.stringify({ specversion: '1.0', id: randomUUID(), source: '/me', type: 'PingRequest', data: {} });

  it('are at the location of a 202, in the mode that was asked in, as often as they are asked for', async () => {
    const { response, location, event, told } = await ask({ prefer: 'respond-async' });
    assert.equal(response.status, 202);
    assert.equal(response.headers.get('preference-applied'), 'respond-async');
    assert.deepEqual(told, { id: event.id, location });
    assert.ok(expiryMs(event) > Date.now() + 3_000_000);
    const pending = await call(location);
    assert.equal(pending.status, 202);
    assert.equal(pending.headers.get('location'), location);
    const reply = pong(event);
    assert.deepEqual(await append(store, [reply]), [{ outcome: 'appended' }]);
    for (let times = 0; times < 2; times += 1) {
      const answer = await call(location);
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get('content-type') ?? '', /^application\/cloudevents\+json/);
      const { id, replyto, correlationid } = (await answer.json()) as CloudEvent;
      assert.deepEqual([id, replyto, correlationid], [reply.id, undefined, undefined]);
    }
  });

  it('are waited for with Prefer: wait, and come by a push', async () => {
    const { location, event } = await ask({ prefer: 'respond-async' });
    const waiting = call(location, { headers: { prefer: 'wait=20' } });
    const reply = pong(event);
    // Who waits has said so to the store before the reply comes, or finds it there.
    await push(await append(store, [reply]), [reply]);
    assert.equal((await waiting).status, 200);
  });

  it('are answered at once where they come while a client waits in spite of all', async () => {
    const index = dispatcher.batches.length;
    const asked = ask({ prefer: 'respond-async, wait=20' });
    const [event] = (await dispatcher.batch(index)) as [CloudEvent];
    await append(store, [pong(event)]);
    const { response, told } = await asked;
    assert.equal(response.status, 200);
    assert.equal(told.type, 'PingResponse');
  });

  it('of a request that was answered 504 are kept, and found by its location and its idempotency key', async () => {
    const body = newPing();
    const key = { 'idempotency-key': `"${randomUUID()}"` };
    const { response, location, event, told } = await ask({ prefer: 'wait=1', ...key }, body);
    assert.equal(response.status, 504);
    assert.equal(told.code, 'outcome-unknown');
    assert.equal(told.location, location);
    assert.ok(expiryMs(event) > Date.now() + 10_000, 'the event expired with the wait');
    const again = await ask(key, body);
    assert.equal(again.response.status, 504);
    assert.equal(again.location, location);

    const reply = pong(event);
    const late = await postReplies([reply]);
    assert.deepEqual(await late.json(), { unknown: [], late: [event.correlationid] });
    await append(store, [reply]);
    assert.equal((await call(location)).status, 200);
    const replayed = await ask(key, body);
    assert.equal(replayed.response.status, 200);
    assert.equal(replayed.response.headers.get('idempotency-replayed'), 'true');
    assert.equal(replayed.told.id, reply.id);
  });

  it('that are problems have the status of the problem', async () => {
    const { location, event } = await ask({ prefer: 'respond-async' });
    const data = { status: 409, code: 'x', location: 'https://elsewhere.example/' };
    await append(store, [pong(event, { type: 'waybill.Problem', data })]);
    const answer = await call(location);
    assert.equal(answer.status, 409);
    assert.equal(answer.headers.get('location'), null);
    assert.equal(((await answer.json()) as Told).code, 'handler-failed');
  });

  it('are gone once they are cancelled, also those that come later', async () => {
    const { location, event } = await ask({ prefer: 'respond-async' });
    assert.equal((await call(location, { method: 'DELETE' })).status, 204);
    assert.equal((await call(location)).status, 410);
    assert.deepEqual(await append(store, [pong(event)]), [{ outcome: 'gone' }]);
    assert.equal((await call(location)).status, 410);
  });

  it('are not found by guessing, nor with the API key of another client', async () => {
    const { location } = await ask({ prefer: 'respond-async' });
    const forged = location.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    for (const [path, key] of [[forged], ['/requests/x'], [location, 'second']] as const)
      for (const method of ['GET', 'DELETE'])
        assert.equal((await call(path, { method }, key)).status, 404, `${method} ${path}`);
  });

  it('cost a request nothing while the store is away, which is said where they are fetched, and to requests with a key', async () => {
    const away = await startPublicWeb([dispatcher], { STORE_URLS: 'http://127.0.0.1:1' });
    const response = await fetch(`${away.baseUrl}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer: 'respond-async, wait=5' },
      body: '{"type":"PingRequest"}',
    });
    assert.equal(response.status, 202);
    const { location } = (await response.json()) as Told;
    const fetched = await fetch(`${away.baseUrl}${location}`);
    assert.equal(fetched.status, 503);
    assert.equal(((await fetched.json()) as Told).code, 'not-accepted');
    const before = dispatcher.batches.length;
    const keyed = await fetch(`${away.baseUrl}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': `"${randomUUID()}"` },
      body: '{"type":"PingRequest"}',
    });
    assert.deepEqual([keyed.status, keyed.headers.get('retry-after')], [503, '1']);
    assert.equal(dispatcher.batches.length, before);
    await away.stop();
  });
});

it('without a store what needs one is refused, and a 504 is the end', async () => {
  const dispatcher = await startDispatcher({ onBatch: confirmAll });
  const publicWeb = await startPublicWeb([dispatcher]);
  const ask = (prefer: string) =>
    fetch(`${publicWeb.baseUrl}/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', prefer },
      body: '{"type":"PingRequest"}',
    });
  const answers = [ask('respond-async')];
  for (const path of ['/requests/x', '/clients/x/mailbox', '/clients/x/events'])
    answers.push(fetch(`${publicWeb.baseUrl}${path}`));
  for (const response of await Promise.all(answers)) {
    assert.equal(response.status, 501);
    assert.equal(((await response.json()) as Told).code, 'no-store');
  }
  assert.equal(dispatcher.batches.length, 0);
  const late = await ask('wait=1');
  assert.equal(late.status, 504);
  assert.equal(late.headers.get('location'), null);
  const [event] = dispatcher.batches[0] as [CloudEvent];
  assert.ok(expiryMs(event) <= Date.now());
  const { unknown } = (await (await postReplies([pong(event)])).json()) as { unknown: string[] };
  assert.deepEqual(unknown, [event.correlationid]);
  await publicWeb.stop();
  await dispatcher.close();
});
