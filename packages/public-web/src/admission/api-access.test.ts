/** API keys and rate limits, as clients of a whole public-web meet them. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, afterEach, before, beforeEach, describe, it } from 'node:test';
import { BATCH_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { startOtlpReceiver } from '@waybill/test-harness/otlp-receiver.ts';
import type { Service } from '@waybill/test-harness/service.ts';
import { client, dataDispatchEnv } from '../new-client.fixture.ts';
import {
  confirmAll,
  type Dispatcher,
  pongAll,
  startDispatcher,
  startPublicWeb,
} from '../public-web.fixture.ts';

const hashOf = (key: string) => `sha256:${createHash('sha256').update(key).digest('hex')}`;
const KEYS = {
  all: 'canary-key-of-all',
  pinger: 'canary-key-of-pinger',
  slow: 'canary-key-of-slow',
  large: 'canary-key-of-large',
};
/** Slow enough for no machine to be slower. */
const SLOW_RATE = 0.001;
const API_KEYS = JSON.stringify([
  { id: 'all', hash: hashOf(KEYS.all), clients: true },
  { id: 'pinger', hash: hashOf(KEYS.pinger), types: ['PingRequest'] },
  { id: 'slow', hash: hashOf(KEYS.slow), rate: SLOW_RATE, burst: 4 },
  { id: 'large', hash: hashOf(KEYS.large), rate: SLOW_RATE, burst: 4 },
]);

let dispatcher: Dispatcher;
let publicWeb: Service;

const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
const ping = { type: 'PingRequest', data: { sentAt: 1 } };
const cloudEvent = (type: string) => ({ specversion: '1.0', id: type, source: '/client', type });

function get(path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(publicWeb.baseUrl + path, { headers, signal: AbortSignal.timeout(10_000) });
}

function post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  const type = { 'content-type': Array.isArray(body) ? BATCH_CONTENT_TYPE : 'application/json' };
  const options = { method: 'POST', headers: { ...type, ...headers }, body: JSON.stringify(body) };
  return fetch(publicWeb.baseUrl + path, { ...options, signal: AbortSignal.timeout(10_000) });
}

async function assertProblem(response: Response, status: number, code: string): Promise<void> {
  const problem = (await response.json()) as Record<string, unknown>;
  assert.deepEqual([response.status, problem.status, problem.code], [status, status, code]);
  assert.match(String(response.headers.get('content-type')), /^application\/problem\+json/);
  assert.equal(response.headers.get('www-authenticate'), status === 401 ? 'Bearer' : null);
}

describe('public-web with API_KEYS', () => {
  before(async () => {
    dispatcher = await startDispatcher();
    publicWeb = await startPublicWeb([dispatcher], {
      ...dataDispatchEnv,
      API_KEYS,
      PUBLIC_EVENT_TYPES: 'PingRequest,Other',
    });
  });
  after(async () => {
    await publicWeb.stop();
    await dispatcher.close();
  });
  beforeEach(() => {
    dispatcher.batches.length = 0;
    dispatcher.onBatch = pongAll;
  });
  afterEach(() => {
    const seen = JSON.stringify([publicWeb.logs, dispatcher.batches]);
    assert.ok(!seen.includes('canary-key'), seen);
  });

  it('answers 401 on every route for events, pings and clients, unless a right key is shown', async () => {
    const wrong: Record<string, string>[] = [
      {},
      bearer('wrong'),
      bearer(hashOf(KEYS.all)),
      { 'x-api-key': 'all' },
    ];
    for (const headers of wrong)
      for (const response of await Promise.all([
        get('/ping', headers),
        post('/ping', {}, headers),
        post('/', ping, headers),
        post('/events', ping, headers),
        post('/clients', client, headers),
      ]))
        await assertProblem(response, 401, 'unauthorized');
    assert.equal(dispatcher.batches.length, 0);
  });

  it('takes a key as a bearer token and in x-api-key, and logs its id', async () => {
    assert.equal((await get('/ping', bearer(KEYS.pinger))).status, 200);
    const headers = { 'x-api-key': KEYS.all };
    assert.equal((await post('/events', { ...ping, id: 'logged' }, headers)).status, 200);
    const line = await publicWeb.waitForLog(({ event_id }) => event_id === 'logged');
    assert.equal(line.api_key_id, 'all');
  });

  it('leaves health and the descriptions open', async () => {
    for (const path of ['/health/live', '/health/ready', '/docs', '/docs/json', '/openapi.json'])
      assert.equal((await get(path)).status, 200, path);
    const { security } = (await (await get('/openapi.json')).json()) as { security: object[] };
    assert.deepEqual(security, [{}, { bearer: [] }, { header: [] }]);
  });

  it('answers 403 to a type that the key does not permit, in a batch to that event alone', async () => {
    await assertProblem(await post('/', { type: 'Other' }, bearer(KEYS.pinger)), 403, 'forbidden');
    assert.equal((await post('/', { type: 'Other' }, bearer(KEYS.all))).status, 200);
    const batch = [cloudEvent('Other'), cloudEvent('PingRequest')];
    const response = await post('/events', batch, bearer(KEYS.pinger));
    const answers = (await response.json()) as { type: string; data: { code?: string } }[];
    assert.deepEqual(
      answers.map(({ type, data }) => [type, data.code]),
      [
        ['waybill.Problem', 'forbidden'],
        ['PingResponse', undefined],
      ],
    );
  });

  it('gives no caller the answer that another got under the same Idempotency-Key', async () => {
    const [mine, theirs] = [KEYS.all, KEYS.pinger].map((key) => ({
      ...bearer(key),
      'idempotency-key': '"1"',
    }));
    assert.equal((await post('/', { ...ping, id: 'mine' }, mine)).status, 200);
    const answer = (await (await post('/', { ...ping, id: 'theirs' }, theirs)).json()) as { id: string };
    assert.equal(answer.id, 'theirs');
    await assertProblem(
      await post('/', { ...ping, id: 'mine' }, { 'idempotency-key': '"1"' }),
      401,
      'unauthorized',
    );
  });

  it('answers 403 to a new client where the key does not permit clients', async () => {
    await assertProblem(await post('/clients', client, bearer(KEYS.pinger)), 403, 'forbidden');
    assert.equal(dispatcher.batches.length, 0);
    dispatcher.onBatch = confirmAll;
    assert.equal((await post('/clients', client, bearer(KEYS.all))).status, 202);
  });

  it('answers 429 with Retry-After past the rate of the key, of which a batch takes as much as it has events', async () => {
    const batch = Array(4).fill(cloudEvent('PingRequest'));
    assert.equal((await post('/events', batch.slice(1), bearer(KEYS.slow))).status, 200);
    dispatcher.batches.length = 0;
    const refused = await post('/events', batch, bearer(KEYS.slow));
    const seconds = Number(refused.headers.get('retry-after'));
    assert.ok(Number.isInteger(seconds) && seconds > 1 && seconds <= 4 / SLOW_RATE, String(seconds));
    await assertProblem(refused, 429, 'rate-limited');
    await assertProblem(await get('/ping', bearer(KEYS.slow)), 429, 'rate-limited');
    assert.equal(dispatcher.batches.length, 0);
    assert.equal((await get('/ping', bearer(KEYS.pinger))).status, 200);
  });

  it('counts a batch that is too large as the largest that is taken, for what it is to refuse it', async () => {
    const zeros = Array(131_071).fill(0);
    await assertProblem(await post('/events', zeros, bearer(KEYS.large)), 413, 'too-large');
    await assertProblem(await get('/ping', bearer(KEYS.large)), 429, 'rate-limited');
    assert.equal(dispatcher.batches.length, 0);
  });
});

describe('public-web', () => {
  const cleanUp: (() => unknown)[] = [];
  before(async () => {
    dispatcher = await startDispatcher();
  });
  after(() => dispatcher.close());
  afterEach(async () => {
    for (const close of cleanUp.splice(0).reverse()) await close();
  });

  async function start(env: Record<string, string>): Promise<void> {
    publicWeb = await startPublicWeb([dispatcher], env);
    cleanUp.push(() => publicWeb.stop());
  }

  it('limits the events per second of an address by RATE_LIMIT, and reads no X-Forwarded-For', async () => {
    await start({ RATE_LIMIT: '1' });
    // More than could flow in while they are answered: a token a second.
    const answers = await Promise.all(
      Array.from({ length: 40 }, (_, index) => get('/ping', { 'x-forwarded-for': `192.0.2.${index}` })),
    );
    const refused = answers.filter(({ status }) => status === 429);
    assert.ok(refused.length >= 20 && refused.length < 40, String(refused.length));
    for (const response of refused) {
      assert.equal(response.headers.get('retry-after'), '1');
      await assertProblem(response, 429, 'rate-limited');
    }
    assert.equal((await get('/health/ready')).status, 200);
  });

  it('limits each client of a trusted proxy by its own address, which the proxy writes last, and has it in spans', async () => {
    const receiver = await startOtlpReceiver();
    cleanUp.push(receiver.close);
    await start({ RATE_LIMIT: '1', TRUSTED_PROXIES: 'loopback', ...receiver.env });
    const asked = (client: (index: number) => string) =>
      Promise.all(
        Array.from({ length: 20 }, (_, index) =>
          get('/ping', { 'x-forwarded-for': `198.51.100.${index}, ${client(index)}` }),
        ),
      );
    const each = await asked((index) => `192.0.2.${index}`);
    assert.ok(each.every(({ status }) => status !== 429));
    const oneOfThem = await asked(() => '192.0.2.100');
    assert.ok(oneOfThem.some(({ status }) => status === 429));
    const addresses = await receiver.waitFor(() => {
      const seen = receiver.spans().map(({ attributes }) => String(attributes['client.address']));
      return seen.includes('192.0.2.100') ? seen : undefined;
    });
    assert.ok(!addresses.some((address) => address.startsWith('198.51.100.')), String(addresses));
  });

  it('shows the key in no span and no exported log, and which key it was in the log', async () => {
    const receiver = await startOtlpReceiver();
    cleanUp.push(receiver.close);
    await start({ API_KEYS, ...receiver.env });
    await get('/ping', bearer(KEYS.all));
    await get('/ping', { 'x-api-key': KEYS.all });
    await get('/ping', bearer('canary-key-that-is-wrong'));
    await receiver.waitFor(() => receiver.spans().filter(({ name }) => name === 'GET /ping').length === 3);
    const log = await receiver.waitFor(() => receiver.logs().find(({ body }) => body === 'event answered'));
    assert.equal(log.attributes.api_key_id, 'all');
    const seen = JSON.stringify(
      [receiver.spans(), receiver.logs(), publicWeb.logs, dispatcher.batches],
      (_, value) => (typeof value === 'bigint' ? String(value) : value),
    );
    assert.ok(!seen.includes('canary-key'));
  });

  it('refuses to start with keys that are none, and repeats nothing of them', async () => {
    await assert.rejects(
      startPublicWeb([dispatcher], { API_KEYS: JSON.stringify([{ id: 'shop', hash: KEYS.all }]) }),
      ({ message }: Error) => /API_KEYS: .*hash of number 1/.test(message) && !message.includes('canary-key'),
    );
  });
});
