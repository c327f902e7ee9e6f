import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, it, type TestContext } from 'node:test';
import { startDispatcher, startPublicWeb } from '../../public-web/src/public-web.fixture.ts';
import { type ClientOptions, createClient, type Problem, RequestFailed } from './create-client.ts';

type Asked = { method: string; path: string; headers: IncomingMessage['headers']; body: string };
type Answer = (response: ServerResponse) => unknown;

/** A server that gives these answers, one to each call and the last to all that follow; `asked` grows. */
async function serve(t: TestContext, ...answers: Answer[]) {
  const asked: Asked[] = [];
  const server = createServer(async (request, response) => {
    const { method = '', url: path = '', headers } = request;
    const body = await text(request);
    const answer = answers[Math.min(asked.length, answers.length - 1)];
    asked.push({ method, path, headers, body });
    answer?.(response);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { asked, url, connect: (options: ClientOptions = {}) => createClient({ url, ...options }) };
}

const respond =
  (status: number, body?: object, headers: Record<string, string> = {}): Answer =>
  (response) =>
    response.writeHead(status, headers).end(body && JSON.stringify(body));
const replied = respond(200, { id: 'r', type: 'Order.Placed', data: { ok: true } });
const problem = (status: number, code: string, headers = {}) =>
  respond(status, { type: `urn:waybill:problem:${code}`, title: code, status, code }, headers);
const breakOff: Answer = (response) => response.destroy();
const notAccepted = problem(503, 'not-accepted', { 'retry-after': '0' });

/** What the request failed by. */
async function failureOf(request: Promise<unknown>): Promise<RequestFailed> {
  const failure = await request.then(
    () => assert.fail('it has a reply'),
    (error: unknown) => error,
  );
  assert.ok(failure instanceof RequestFailed, String(failure));
  return failure;
}

describe('a request', () => {
  it('is an event with a key, and resolves with its reply', async (t) => {
    const { asked, connect } = await serve(t, replied);
    const reply = await connect({ apiKey: 'secret' }).request('Order.Place', { sku: 'tea' });
    assert.deepEqual([reply.type, reply.data], ['Order.Placed', { ok: true }]);
    const [{ method, path, headers, body }] = asked as [Asked];
    assert.deepEqual([method, path], ['POST', '/events']);
    assert.equal(headers['content-type'], 'application/cloudevents+json');
    assert.equal(headers.authorization, 'Bearer secret');
    assert.match(String(headers['idempotency-key']), /^"[0-9a-f]{32}"$/);
    assert.match(String(headers.prefer), /^wait=(29|30)$/);
    const { id, ...event } = JSON.parse(body);
    assert.match(id, /^[0-9a-f]{32}$/);
    const data = { sku: 'tea' };
    const common = { specversion: '1.0', source: '/client', datacontenttype: 'application/json' };
    assert.deepEqual(event, { ...common, type: 'Order.Place', data });
  });

  for (const [name, answer] of [
    ['was not taken', notAccepted],
    ['is one too many', problem(429, 'rate-limited', { 'retry-after': '0' })],
    ['was broken off', breakOff],
  ] as const)
    it(`is sent again when it ${name}, with the same key and id`, async (t) => {
      const { asked, connect } = await serve(t, answer, answer, replied);
      assert.deepEqual((await connect().request('Order.Place')).data, { ok: true });
      assert.equal(asked.length, 3);
      assert.equal(new Set(asked.map(({ headers }) => headers['idempotency-key'])).size, 1);
      assert.equal(new Set(asked.map(({ body }) => body)).size, 1);
    });

  it('has its answer fetched that comes too late, where that is kept', async (t) => {
    const location = '/requests/abc';
    const late = problem(504, 'outcome-unknown', { location });
    const pending = respond(202, { location }, { location });
    const { asked, connect } = await serve(t, late, pending, replied);
    assert.deepEqual((await connect({ apiKey: 'secret' }).request('Order.Place')).data, { ok: true });
    const calls = asked.map(({ method, path, headers }) => [method, path, headers.authorization]);
    const look = ['GET', location, 'Bearer secret'];
    assert.deepEqual(calls, [['POST', '/events', 'Bearer secret'], look, look]);
  });

  it('fails with where its answer will be, when that does not come in time', async (t) => {
    const location = '/requests/abc';
    const { connect } = await serve(
      t,
      problem(504, 'outcome-unknown', { location }),
      respond(202, {}, { location }),
    );
    const failure = await failureOf(connect().request('Order.Place', undefined, { timeoutMs: 300 }));
    assert.deepEqual([failure.problem.code, failure.problem.location], ['outcome-unknown', location]);
    assert.equal(failure.hasNotRun, false);
  });

  for (const [status, code, hasNotRun] of [
    [504, 'outcome-unknown', false],
    [502, 'handler-failed', false],
    [422, 'invalid-data', true],
    [404, 'unroutable', true],
    [400, 'no-such-sku', false],
  ] as const)
    it(`fails with ${status} ${code}, and is not sent again`, async (t) => {
      const { asked, connect } = await serve(t, problem(status, code));
      const failure = await failureOf(connect().request('Order.Place', {}, { id: 'mine' }));
      assert.deepEqual([failure.problem.status, failure.problem.code], [status, code]);
      assert.deepEqual([failure.hasNotRun, failure.eventId], [hasNotRun, 'mine']);
      assert.equal(asked.length, 1);
    });

  it('fails with what it was last told when its time is over', async (t) => {
    const { asked, connect } = await serve(t, notAccepted);
    const failure = await failureOf(connect().request('Order.Place', {}, { timeoutMs: 1_000 }));
    assert.deepEqual([failure.problem.code, failure.hasNotRun], ['not-accepted', true]);
    assert.ok(asked.length > 1);
  });

  for (const [status, code] of [
    [503, 'not-accepted'],
    [404, 'unroutable'],
  ] as const)
    it(`may have run that broke off, also when it is then answered ${status} ${code}`, async (t) => {
      const { asked, connect } = await serve(t, breakOff, problem(status, code, { 'retry-after': '60' }));
      const failure = await failureOf(connect().request('Order.Place'));
      assert.deepEqual([failure.problem.code, failure.hasNotRun], ['outcome-unknown', false]);
      assert.equal((failure.cause as Problem).code, code);
      assert.equal(asked.length, 2);
    });

  for (const [name, answer, cause] of [
    ['503', problem(503, 'not-accepted', { 'retry-after': '60' }), 'not-accepted'],
    ['429', problem(429, 'rate-limited', { 'retry-after': '60' }), 'rate-limited'],
    ['401', problem(401, 'unauthorized'), 'unauthorized'],
    ['a 500 of none of Waybill', respond(500), undefined],
  ] as const)
    it(`may have run whose answer is looked for in vain, by ${name}, and says where that will be`, async (t) => {
      const location = '/requests/abc';
      const { asked, connect } = await serve(t, problem(504, 'outcome-unknown', { location }), answer);
      const failure = await failureOf(connect().request('Order.Place'));
      assert.deepEqual([failure.problem.location, failure.hasNotRun], [location, false]);
      assert.equal((failure.cause as Problem | undefined)?.code, cause);
      assert.equal(asked.length, 2);
    });

  it('fails with what its listener says, also when that is fetched', async (t) => {
    const location = '/requests/abc';
    const { connect } = await serve(t, respond(202, {}, { location }), problem(400, 'no-such-sku'));
    const { problem: told } = await failureOf(connect().request('Order.Place'));
    assert.deepEqual([told.code, told.location], ['no-such-sku', undefined]);
  });

  it('has no data where the handler has nothing to say', async (t) => {
    const { connect } = await serve(t, respond(204));
    assert.equal((await connect().request('Order.Forget')).data, undefined);
  });

  it('ends with the reason of its signal, whatever it waits for', async (t) => {
    for (const answer of [() => {}, problem(503, 'not-accepted', { 'retry-after': '20' })]) {
      const { connect } = await serve(t, answer);
      const stop = new AbortController();
      const request = connect().request('Order.Place', {}, { signal: stop.signal });
      setImmediate(() => stop.abort(new Error('enough')));
      await assert.rejects(request, { message: 'enough' });
    }
  });

  it('names what its event belongs to', async (t) => {
    const { asked, connect } = await serve(t, replied);
    await connect().request('Account.Change', {}, { partitionkey: 'account 7' });
    assert.equal(JSON.parse(asked[0]?.body ?? '').partitionkey, 'account 7');
  });

  it('is not sent when its data is none in JSON, or no timer can wait for it', async (t) => {
    const { asked, url, connect } = await serve(t, replied);
    const client = connect();
    const connection = createClient({ url }).connect();
    t.after(() => connection.close());
    for (const { request } of [client, connection]) {
      await assert.rejects(request('Order.Place', 1n), TypeError);
      for (const timeoutMs of [Number.POSITIVE_INFINITY, 2 ** 31, Number.NaN])
        await assert.rejects(request('Order.Place', {}, { timeoutMs }), RangeError);
    }
    assert.equal(asked.filter(({ method }) => method === 'POST').length, 0);
  });

  it('needs a URL where there is no page', () => {
    assert.throws(() => createClient(), TypeError);
  });

  it('is answered by a public-web', async (t) => {
    const dispatcher = await startDispatcher();
    const publicWeb = await startPublicWeb([dispatcher]);
    t.after(async () => {
      await publicWeb.stop();
      await dispatcher.close();
    });
    const client = createClient({ url: publicWeb.baseUrl });
    const { type, data } = await client.request('PingRequest', { sentAt: 1 });
    assert.deepEqual([type, data], ['PingResponse', { sentAt: 1, receivedAt: 2 }]);
    const failure = await failureOf(client.request('Other'));
    assert.equal(failure.problem.code, 'unroutable');
  });
});
