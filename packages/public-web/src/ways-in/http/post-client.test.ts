import assert from 'node:assert/strict';
import { afterEach, describe, it } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { hang } from '@waybill/test-harness/stand-in.ts';
import {
  assertNoCanary,
  assertSent,
  CANARY,
  client,
  dataDispatchEnv,
  faults,
} from '../../new-client.fixture.ts';
import {
  answer,
  confirmAll,
  startDispatcher,
  startPublicWeb,
  usePublicWeb,
} from '../../public-web.fixture.ts';

const { dispatcher, publicWeb } = await usePublicWeb({ env: dataDispatchEnv, onBatch: confirmAll });
afterEach(() => assertNoCanary(publicWeb, dispatcher));

function post(body: string, headers = { 'content-type': 'application/json' }, service = publicWeb) {
  return fetch(`${service.baseUrl}/clients`, {
    method: 'POST',
    headers,
    body,
    signal: AbortSignal.timeout(10_000),
  });
}

async function assertProblem(response: Response, status: number, code: string, detail?: string) {
  const text = await response.text();
  assert.ok(!text.includes(CANARY), text);
  const problem = JSON.parse(text);
  assert.match(String(response.headers.get('content-type')), /^application\/problem\+json/);
  assert.deepEqual([response.status, problem.status, problem.code], [status, status, code], problem.detail);
  if (detail !== undefined) assert.equal(problem.detail, detail);
}

describe('POST /clients', () => {
  it('answers 202 with the id of the stream, which is that of the event, and logs one line', async () => {
    const response = await post(JSON.stringify({ ...client, unknown: 'ignored' }));
    const { stream_id, ...rest } = (await response.json()) as Record<string, string>;
    assert.equal(response.status, 202);
    assert.deepEqual(rest, { status: 'OK', message: 'Client processing started' });
    assert.equal((await assertSent(dispatcher)).id, stream_id);
    await publicWeb.waitForLog(({ event_id }) => event_id === stream_id);
    const lines = publicWeb.logs.filter(({ event_id }) => event_id === stream_id);
    assert.deepEqual(
      lines.map(({ event_type, status }) => ({ event_type, status })),
      [{ event_type: 'NewClientRequest', status: 202 }],
    );
  });

  for (const [changes, message] of faults)
    it(`answers 400 to ${JSON.stringify(changes).slice(0, 60)}: ${message}`, async () => {
      const response = await post(JSON.stringify({ ...client, ...changes }));
      await assertProblem(response, 400, 'invalid-request', message);
      assert.equal(dispatcher.batches.length, 0);
    });

  it('answers 400 to what is no JSON object, and repeats none of it', async () => {
    for (const body of ['', CANARY, `{"amqp_pass":"${CANARY}`, '[]', 'null', `"${CANARY}"`])
      await assertProblem(await post(body), 400, 'invalid-request');
    await assertProblem(await post('{}'), 400, 'invalid-request', 'client_id is required');
  });

  it('answers 415 unless the body is said to be JSON', async () => {
    for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/cloudevents+json'])
      await assertProblem(
        await post(JSON.stringify(client), { 'content-type': type }),
        415,
        'unsupported-media-type',
      );
    const charset = { 'content-type': 'application/json; charset=utf-8' };
    assert.equal((await post(JSON.stringify(client), charset)).status, 202);
  });

  it('answers 413 to a body over the limit', async () => {
    const body = JSON.stringify({ ...client, more: 'x'.repeat(300_000) });
    await assertProblem(await post(body), 413, 'too-large');
  });

  it('answers 404 when no listener dispatches datasets, and 504 when the broker did not confirm', async () => {
    const outcome = (name: string) => {
      dispatcher.onBatch = (events, response) =>
        answer(response, { [name]: events.map(({ correlationid }) => correlationid) });
    };
    outcome('unroutable');
    await assertProblem(await post(JSON.stringify(client)), 404, 'unroutable');
    outcome('unknown');
    await assertProblem(await post(JSON.stringify(client)), 504, 'outcome-unknown');
  });

  it('cannot be had through the routes for events', async () => {
    const body = JSON.stringify({ type: 'NewClientRequest', data: client });
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(publicWeb.baseUrl, { method: 'POST', headers, body });
    await assertProblem(response, 404, 'unroutable');
  });

  it('stands in the OpenAPI description', async () => {
    const response = await fetch(`${publicWeb.baseUrl}/openapi.json`);
    // biome-ignore lint/suspicious/noExplicitAny: a document of many shapes.
    const { paths } = (await response.json()) as any;
    const { operationId, requestBody, responses } = paths['/clients'].post;
    assert.equal(operationId, 'postClient');
    assert.deepEqual(
      Object.keys(requestBody.content['application/json'].schema.properties),
      Object.keys(client),
    );
    const refused = ['400', '401', '403', '404', '408', '413', '415', '421', '422', '429', '431'];
    assert.deepEqual(Object.keys(responses), ['202', ...refused, '503', '504']);
  });
});

describe('public-web', () => {
  it('answers 503 with Retry-After when no dispatcher takes the client', async () => {
    const gone = await startDispatcher();
    await gone.close();
    const service = await startPublicWeb([gone], dataDispatchEnv);
    try {
      const response = await post(JSON.stringify(client), undefined, service);
      assert.equal(response.headers.get('retry-after'), '1');
      await assertProblem(response, 503, 'not-accepted');
    } finally {
      await service.stop();
    }
  });

  it('answers 404 and opens no gRPC port without CREDENTIALS_PUBLIC_KEY', async () => {
    const service = await startPublicWeb([dispatcher]);
    try {
      const detail = 'datasets are not dispatched here (setting CREDENTIALS_PUBLIC_KEY)';
      const response = await post(JSON.stringify(client), undefined, service);
      await assertProblem(response, 404, 'unroutable', detail);
      assert.ok(!service.logs.some((line) => 'grpcPort' in line));
    } finally {
      await service.stop();
    }
  });

  it('refuses to start with a private key, and does not repeat it', async () => {
    const key = { ...JSON.parse(dataDispatchEnv.CREDENTIALS_PUBLIC_KEY), d: 'A'.repeat(43) };
    await assert.rejects(
      startPublicWeb([dispatcher], { CREDENTIALS_PUBLIC_KEY: JSON.stringify(key) }),
      ({ message }: Error) => /give the public one/.test(message) && !message.includes('AAAA'),
    );
  });

  it('gives up the client that has gone', async () => {
    dispatcher.onBatch = hang;
    const service = await startPublicWeb([dispatcher], dataDispatchEnv);
    const caller = new AbortController();
    const { signal } = caller;
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify(client);
    const gone = assert.rejects(
      fetch(`${service.baseUrl}/clients`, { method: 'POST', headers, body, signal }),
    );
    await dispatcher.batch(0);
    caller.abort();
    await gone;
    await eventually(() => assert.ok(service.logs.some(({ outcome }) => outcome === 'client-gone')));
    await service.stop();
  });
});
