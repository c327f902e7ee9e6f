import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { describe, it } from 'node:test';
import { type CloudEvent, PROBLEM_TYPE } from '@waybill/common/event/event.ts';
import { BATCH_CONTENT_TYPE, EVENT_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { refuse } from '@waybill/test-harness/stand-in.ts';
import { client, dataDispatchEnv } from '../new-client.fixture.ts';
import { answer, confirmAll, deliver, pong, pongAll, usePublicWeb } from '../public-web.fixture.ts';

const apiKeys = ['key-of-one', 'key-of-two'].map((key) => ({
  id: key,
  hash: `sha256:${createHash('sha256').update(key).digest('hex')}`,
  clients: true,
}));

const { dispatcher, publicWeb } = await usePublicWeb({
  env: { ...dataDispatchEnv, API_KEYS: JSON.stringify(apiKeys) },
});

type Input = { key?: string; path?: string; headers?: Record<string, string>; body?: unknown };
type Told = { status: number; isReplayed: boolean; type: string | null; body: string };

function post(
  { key = randomUUID(), path = '/', headers, body }: Input,
  signal?: AbortSignal,
): Promise<Response> {
  return fetch(publicWeb.baseUrl + path, {
    method: 'POST',
    headers: {
      authorization: 'Bearer key-of-one',
      'content-type': 'application/json',
      'idempotency-key': `"${key}"`,
      ...headers,
    },
    body: JSON.stringify(body ?? ping),
    signal: signal ?? AbortSignal.timeout(60_000),
  });
}

async function tell(input: Input): Promise<Told> {
  return read(await post(input));
}

async function read(response: Response): Promise<Told> {
  const isReplayed = response.headers.get('idempotency-replayed') === 'true';
  const type = response.headers.get('content-type');
  return { status: response.status, isReplayed, type, body: await response.text() };
}

const codeIn = ({ body }: Told) => JSON.parse(body).code;
const sent = () => dispatcher.batches.flat();

const ping = { id: 'e1', type: 'PingRequest', data: { sentAt: 1 } };
const cloudEvent = { specversion: '1.0', source: '/client', ...ping };
const BINARY = { 'ce-specversion': '1.0', 'ce-id': 'e1', 'ce-source': '/client', 'ce-type': 'PingRequest' };

describe('a request that comes again with its Idempotency-Key', () => {
  const inputs: Record<string, Input> = {
    'POST /': {},
    'POST /events, structured': {
      path: '/events',
      headers: { 'content-type': EVENT_CONTENT_TYPE },
      body: cloudEvent,
    },
    'POST /events, binary': { path: '/events', headers: BINARY },
    'a batch': { headers: { 'content-type': BATCH_CONTENT_TYPE }, body: [cloudEvent, { id: 'at fault' }] },
    'POST /ping': { path: '/ping', body: {} },
  };
  for (const [name, input] of Object.entries(inputs))
    it(`gets the answer again, and nothing is sent again: ${name}`, async () => {
      const key = randomUUID();
      const first = await tell({ ...input, key });
      const second = await tell({ ...input, key });
      assert.deepEqual([first.status, first.isReplayed], [200, false], first.body);
      assert.deepEqual(second, { ...first, isReplayed: true });
      assert.equal(sent().length, 1);
    });

  it('names a new client once', async () => {
    dispatcher.onBatch = confirmAll;
    const input = { key: randomUUID(), path: '/clients', body: client };
    const first = await tell(input);
    assert.equal(first.status, 202, first.body);
    assert.deepEqual(await tell(input), { ...first, isReplayed: true });
    assert.equal(sent().length, 1);
  });

  it('gets the attributes of a binary reply again', async () => {
    const input = { key: randomUUID(), headers: BINARY };
    const [first, second] = [await post(input), await post(input)];
    assert.equal(second.headers.get('idempotency-replayed'), 'true');
    assert.equal(second.headers.get('ce-id'), first.headers.get('ce-id'));
    assert.equal(second.headers.get('ce-type'), 'PingResponse');
  });

  it('is not sent again when the first did not wait for its answer', async () => {
    dispatcher.onBatch = confirmAll;
    const gone = new AbortController();
    const input = { key: randomUUID() };
    const first = assert.rejects(post(input, gone.signal), { name: 'AbortError' });
    const [event] = (await dispatcher.batch(0)) as [CloudEvent];
    const second = tell(input);
    gone.abort();
    await first;
    // Answered over the same port, so that the server knows of the client that has gone.
    assert.equal((await tell({ path: '/nowhere' })).status, 404);
    assert.deepEqual(await deliver([pong(event)]), []);
    assert.deepEqual([(await second).status, (await second).isReplayed], [200, true]);
    assert.deepEqual(await tell(input), await second);
    assert.equal(sent().length, 1);
  });

  it('waits for the answer to the first no longer than it asked to', async () => {
    dispatcher.onBatch = confirmAll;
    const input = { key: randomUUID() };
    const first = tell(input);
    const [event] = (await dispatcher.batch(0)) as [CloudEvent];
    const second = await tell({ ...input, headers: { prefer: 'wait=1' } });
    assert.deepEqual([second.status, codeIn(second)], [504, 'outcome-unknown']);
    assert.deepEqual(await deliver([pong(event)]), []);
    assert.equal((await first).status, 200);
    assert.deepEqual(await tell(input), { ...(await first), isReplayed: true });
    assert.equal(sent().length, 1);
  });

  const others: Record<string, Input> = {
    'another body': { body: { ...ping, data: 2 } },
    'another route': { path: '/events' },
    'another event in its headers': { headers: BINARY },
  };
  for (const [name, changes] of Object.entries(others))
    it(`is refused 422 with ${name}, before and after the first is answered`, async () => {
      dispatcher.onBatch = confirmAll;
      const key = randomUUID();
      const first = tell({ key });
      const [event] = (await dispatcher.batch(0)) as [CloudEvent];
      const early = await tell({ key, ...changes });
      await deliver([pong(event)]);
      assert.equal((await first).status, 200);
      const late = await tell({ key, ...changes });
      for (const told of [early, late])
        assert.deepEqual([told.status, codeIn(told)], [422, 'idempotency-key-reused']);
      assert.equal(sent().length, 1);
    });

  it('is logged ten times a second at most, however often it comes', async () => {
    const input = { key: randomUUID() };
    await tell(input);
    await Promise.all(Array.from({ length: 100 }, () => tell(input)));
    const line = await publicWeb.waitForLog(({ left_out }) => left_out !== undefined);
    assert.ok((line.left_out as { replayed: number }).replayed > 0);
  });

  it('has nothing to do with the same key of another caller', async () => {
    const key = randomUUID();
    const first = await tell({ key });
    const second = await tell({ key, headers: { authorization: 'Bearer key-of-two' } });
    assert.deepEqual([first.isReplayed, second.isReplayed], [false, false]);
    assert.equal(sent().length, 2);
  });
});

describe('an answer', () => {
  it('that proves that nothing ran is not kept: 503', async () => {
    const input = { key: randomUUID() };
    dispatcher.onBatch = refuse('not-accepted');
    const refused = await tell(input);
    assert.deepEqual([refused.status, codeIn(refused)], [503, 'not-accepted']);
    dispatcher.onBatch = pongAll;
    dispatcher.batches.length = 0;
    // The dispatcher may be set aside for a moment.
    const told = await eventually(async () => {
      const next = await tell(input);
      assert.notEqual(next.status, 503);
      return next;
    });
    assert.deepEqual([told.status, told.isReplayed], [200, false], told.body);
  });

  it('of an unknown outcome is kept, and the event may be sent again under another key', async () => {
    const input = { key: randomUUID(), headers: { prefer: 'wait=1' } };
    dispatcher.onBatch = confirmAll;
    const unknown = await tell(input);
    assert.equal(unknown.status, 504);
    dispatcher.onBatch = pongAll;
    assert.deepEqual(await tell(input), { ...unknown, isReplayed: true });
    assert.equal(sent().length, 1);
    assert.equal((await tell({})).status, 200);
  });

  for (const [status, code] of [
    [502, 'handler-failed'],
    [404, 'unroutable'],
  ])
    it(`of a listener that failed is kept: ${status}`, async () => {
      dispatcher.onBatch = async (events, response) => {
        answer(response);
        await deliver(events.map((event) => pong(event, { type: PROBLEM_TYPE, data: { status, code } })));
      };
      const input = { key: randomUUID() };
      const first = await tell(input);
      assert.deepEqual([first.status, codeIn(first)], [status, 'handler-failed']);
      assert.deepEqual(await tell(input), { ...first, isReplayed: true });
      assert.equal(sent().length, 1);
    });

  it('that no listener takes such events is not kept: one may be there the next time', async () => {
    dispatcher.onBatch = (events, response) =>
      answer(response, { unroutable: events.map(({ correlationid }) => correlationid) });
    const input = { key: randomUUID() };
    const first = await tell(input);
    assert.deepEqual([first.status, codeIn(first)], [404, 'unroutable']);
    assert.equal((await tell(input)).isReplayed, false);
    assert.equal(sent().length, 2);
  });

  it('too large to be kept is not made a second time', async () => {
    dispatcher.onBatch = async (events, response) => {
      answer(response);
      for (const event of events) await deliver([pong(event, { data: 'x'.repeat(240_000) })]);
    };
    const batch = Array.from({ length: 5 }, (_, index) => ({ ...cloudEvent, id: `e${index}` }));
    const input = { key: randomUUID(), headers: { 'content-type': BATCH_CONTENT_TYPE }, body: batch };
    const first = await tell(input);
    assert.deepEqual([first.status, JSON.parse(first.body).length], [200, 5]);
    const second = await tell(input);
    assert.deepEqual([second.status, codeIn(second), second.isReplayed], [504, 'outcome-unknown', true]);
    assert.equal(sent().length, 5);
  });
});

it('a malformed Idempotency-Key is refused 400, and nothing is sent', async () => {
  for (const header of ['""', '"a", "b"', 'x'.repeat(256)]) {
    const told = await tell({ headers: { 'idempotency-key': header } });
    assert.deepEqual([told.status, codeIn(told)], [400, 'invalid-request']);
  }
  assert.equal(sent().length, 0);
});

it('GET /ping pays no heed to the header', async () => {
  const headers = { authorization: 'Bearer key-of-one', 'idempotency-key': '"same"' };
  for (const _ of [1, 2]) {
    const response = await fetch(`${publicWeb.baseUrl}/ping`, { headers });
    assert.deepEqual([response.status, response.headers.get('idempotency-replayed')], [200, null]);
  }
  assert.equal(sent().length, 2);
});
