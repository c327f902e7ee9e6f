import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, beforeEach, describe, it } from 'node:test';
import { INTERNAL_BODY_LIMIT_BYTES } from '@waybill/common/batch-limits.ts';
import { BATCH_CONTENT_TYPE, EVENT_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { createClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import { signRequest } from '@waybill/common/internal-call/http-signature.ts';
import { createInternalApp } from '@waybill/common/internal-call/internal-app.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { startTcpProxy, type TcpProxy } from '@waybill/test-harness/tcp-proxy.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { pino } from 'pino';
import {
  type Answer,
  type Consumer,
  eventsOf,
  keys,
  newEvent,
  postEvents,
  send,
  startDispatcher,
  startListener,
} from './dispatcher.fixture.ts';
import { createIntake } from './intake.ts';

describe('POST /events', () => {
  let broker: TestBroker;
  let proxy: TcpProxy;
  let dispatcher: Service;
  let listener: Consumer;

  before(async () => {
    broker = await freshBroker();
    proxy = await startTcpProxy({ target: broker.url });
    listener = await startListener(broker.url, 'test', ['Known', 'Other', 'Slow']);
    dispatcher = await startDispatcher(proxy.through(broker.url), { BATCH_MAX_BY_TYPE: 'Slow=1' });
  });
  after(async () => {
    await dispatcher.stop();
    await listener.close();
    await proxy.close();
    await broker.close();
  });
  beforeEach(() => {
    listener.messages.length = 0;
  });

  const ids = (events: { id: string }[]) => events.map(({ id }) => id).sort();
  const past = new Date(Date.now() - 1_000).toISOString();
  const future = new Date(Date.now() + 60_000).toISOString();

  it('accounts for every event of a mixed batch, and the listener gets exactly the confirmed ones', async () => {
    const confirmed = [newEvent('Known'), newEvent('Other', { expirytime: future }), newEvent('Known')];
    const [nobody, expired] = [newEvent('Nobody'), newEvent('Known', { expirytime: past })];
    const malformed = newEvent('Known', { time: 'yesterday' });
    const nameless = { ...newEvent('Known'), correlationid: undefined, type: undefined };
    const [first, ...others] = confirmed;
    const answer = await send(dispatcher, [first, nobody, malformed, expired, nameless, 7, ...others]);
    assert.deepEqual(answer.unroutable, [nobody.id]);
    assert.deepEqual(answer.unknown, []);
    const rejected = answer.rejected.map(({ id, problem: { code, status } }) => [id, code, status]);
    assert.deepEqual(
      rejected.sort(),
      [
        ['', 'invalid-request', 400],
        ['', 'invalid-request', 400],
        [malformed.id, 'invalid-request', 400],
        [expired.id, 'not-accepted', 503],
      ].sort(),
    );
    assert.match(String(answer.rejected.find(({ id }) => id === malformed.id)?.problem.detail), /^time /);
    await listener.until(() => listener.events().length >= 3);
    await broker.emptied();
    assert.deepEqual(ids(listener.events()), ids(confirmed));
  });

  it('publishes the events of one type and call as batched messages of at most 64, each event as it came', async () => {
    const known = Array.from({ length: 100 }, (_, index) =>
      newEvent('Known', { data: { index }, mine: 'kept' }),
    );
    const other = newEvent('Other');
    assert.deepEqual(await send(dispatcher, [...known, other]), {
      unroutable: [],
      rejected: [],
      unknown: [],
    });
    await listener.until((messages) => messages.length >= 3);
    const sizes = listener.messages.map((message) => [
      message.routingKey,
      eventsOf(message).length,
      message.contentType,
    ]);
    assert.deepEqual(
      sizes.sort(),
      [
        ['Known', 64, BATCH_CONTENT_TYPE],
        ['Known', 36, BATCH_CONTENT_TYPE],
        ['Other', 1, EVENT_CONTENT_TYPE],
      ].sort(),
    );
    const byId = new Map(listener.events().map((event) => [event.id, event]));
    assert.deepEqual(
      [...known, other].map(({ id }) => byId.get(id)),
      [...known, other],
    );
  });

  it('publishes each event of a type alone where BATCH_MAX_BY_TYPE says so', async () => {
    await send(
      dispatcher,
      Array.from({ length: 20 }, () => newEvent('Slow')),
    );
    await listener.until((messages) => messages.length >= 20);
    assert.ok(listener.messages.every((message) => eventsOf(message).length === 1));
  });

  it('answers an empty batch, which is how public-web asks whether it accepts events', async () => {
    assert.deepEqual(await send(dispatcher, []), { unroutable: [], rejected: [], unknown: [] });
  });

  it('answers 401 unless the call is signed, lately, with a shared secret, for this very body', async () => {
    const body = JSON.stringify([newEvent('Known')]);
    const call = { method: 'POST', path: '/events', body };
    const others = deriveInternalKeys(['the-secret-of-some-other-system-!']);
    const refused: Record<string, Record<string, string>> = {
      unsigned: {},
      stale: signRequest({ ...call, keys: keys.call, nowMs: Date.now() - 120_000 }),
      'of another secret': signRequest({ ...call, keys: others.call }),
      'of another purpose': signRequest({ ...call, keys: keys.replyAddress }),
      'of another path': signRequest({ ...call, path: '/dispatch', keys: keys.call }),
      'of another body': signRequest({ ...call, body: '[]', keys: keys.call }),
    };
    for (const [name, headers] of Object.entries(refused)) {
      const response = await postEvents(dispatcher, body, headers);
      assert.equal(response.status, 401, name);
      assert.match(String(response.headers.get('content-type')), /^application\/problem\+json/);
    }
    assert.equal((await postEvents(dispatcher, '', {})).status, 401);
    await broker.emptied();
    assert.equal(listener.messages.length, 0);
  });

  it('answers 400 to a signed body that is no batch, and 413 to one over the limit', async () => {
    const bodies = ['', '{}', '"x"', '[', `[${'['.repeat(100)}${']'.repeat(100)}]`, '[{"constructor":1}]'];
    for (const body of bodies) assert.equal((await postEvents(dispatcher, body)).status, 400, body);
    assert.equal(await statusOfHead(dispatcher, INTERNAL_BODY_LIMIT_BYTES + 1), 413);
    assert.equal(listener.messages.length, 0);
  });

  it('takes one event larger than a batch may be', async () => {
    const large = newEvent('Known', { data: 'x'.repeat(400 * 1024) });
    assert.deepEqual((await send(dispatcher, [newEvent('Known'), large, newEvent('Known')])).rejected, []);
    await listener.until(() => listener.events().length >= 3);
    assert.ok(listener.messages.some((message) => eventsOf(message)[0]?.id === large.id));
  });

  it('leaves the outcome unknown when the broker falls silent, then answers 503 until it is back', {
    timeout: 50_000,
  }, async () => {
    proxy.setFault({ drop: 'both' });
    const unconfirmed = newEvent('Known');
    const answer = await send(dispatcher, [unconfirmed]);
    assert.deepEqual(answer, { unroutable: [], rejected: [], unknown: [unconfirmed.id] });
    proxy.reset();
    await eventually(async () => assert.equal((await postEvents(dispatcher, '[]')).status, 503));
    const refused = await postEvents(dispatcher, JSON.stringify([newEvent('Known')]));
    assert.equal(refused.status, 503);
    assert.equal(refused.headers.get('retry-after'), '1');
    assert.equal((await fetch(`http://127.0.0.1:${dispatcher.healthPort}/health/ready`)).status, 200);
    proxy.setFault({});
    proxy.reset();
    await eventually(async () => assert.equal((await postEvents(dispatcher, '[]')).status, 200), {
      timeoutMs: 25_000,
    });
    await send(dispatcher, [newEvent('Other')]);
    await listener.until((messages) => messages.some(({ routingKey }) => routingKey === 'Other'));
  });
});

it('an error nobody foresaw is logged with its stack, and told to nobody', async () => {
  const lines: string[] = [];
  const app = createInternalApp({
    log: pino({}, { write: (line: string) => void lines.push(line) }),
    keys: keys.call,
    clock: createClockCheck(),
    routes: {
      '/events': createIntake({
        isBrokerAvailable: () => true,
        publishEvent: async () => assert.fail('canary'),
        isStopping: () => false,
      }),
    },
  });
  const body = JSON.stringify([newEvent('Known')]);
  const headers = signRequest({ method: 'POST', path: '/events', body, keys: keys.call });
  const answer = await app.inject({ method: 'POST', url: '/events', headers, payload: body });
  assert.doesNotMatch(answer.body, /canary/);
  assert.equal((answer.json() as Answer).rejected[0]?.problem.code, 'unexpected');
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /canary.*intake\.test\.ts/);
});

it('a dispatcher that is stopping answers 503 and publishes nothing, so that public-web asks another', async () => {
  let published = 0;
  const app = createInternalApp({
    log: pino({ level: 'silent' }),
    keys: keys.call,
    clock: createClockCheck(),
    routes: {
      '/events': createIntake({
        isBrokerAvailable: () => true,
        async publishEvent() {
          published += 1;
          return 'confirmed';
        },
        isStopping: () => true,
      }),
    },
  });
  const body = JSON.stringify([newEvent('Known')]);
  const headers = signRequest({ method: 'POST', path: '/events', body, keys: keys.call });
  const { statusCode } = await app.inject({ method: 'POST', url: '/events', headers, payload: body });
  assert.deepEqual([statusCode, published], [503, 0]);
});

/** What a call is answered of which only the head was sent: one that writes 16 MB may be cut off before it reads the answer. */
async function statusOfHead({ baseUrl }: Service, bytes: number): Promise<number | undefined> {
  const signed = signRequest({ method: 'POST', path: '/events', body: '', keys: keys.call });
  const headers = { 'content-type': BATCH_CONTENT_TYPE, 'content-length': bytes, ...signed };
  const call = request(`${baseUrl}/events`, { method: 'POST', headers });
  call.flushHeaders();
  const [{ statusCode }] = await once(call, 'response');
  call.on('error', () => {}).destroy();
  return statusCode;
}
