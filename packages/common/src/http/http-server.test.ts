import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import type { Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import type { FastifyReply } from 'fastify';
import { DEFAULT_EVENT_BYTES } from '../batch-limits.ts';
import { AppError, type ErrorCode } from '../errors.ts';
import { limitAnswerTime } from './answer-time.ts';
import { get, nextAnswer, serve } from './http-server.fixture.ts';
import { addHealthRoutes, type HttpServerOptions, sendProblem } from './http-server.ts';

/** The problem of an answer, which must be one through and through. */
async function problemOf(response: Response): Promise<Record<string, unknown>> {
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
  const problem = (await response.json()) as Record<string, unknown>;
  assert.deepEqual([problem.status, problem.type], [response.status, `urn:waybill:problem:${problem.code}`]);
  return problem;
}

describe('bodies', () => {
  /** A server that answers with the number of bytes it got. */
  const measure = (t: TestContext, options: Partial<HttpServerOptions> = {}) =>
    serve(t, { ...options, routes: (app) => app.post('/', async ({ body }) => (body as Buffer).length) });
  const post = (url: string, body: RequestInit['body'], headers: Record<string, string> = {}) =>
    fetch(url, { method: 'POST', body, headers, duplex: 'half' } as RequestInit);

  test('one of exactly the limit is taken, one byte more is 413, with and without its length', async (t) => {
    const { url } = await measure(t);
    const taken = Buffer.alloc(DEFAULT_EVENT_BYTES);
    const tooLarge = Buffer.alloc(DEFAULT_EVENT_BYTES + 1);
    for (const send of [post, (url: string, body: Buffer) => post(url, ReadableStream.from([body]))]) {
      assert.equal(await (await send(url, taken)).json(), DEFAULT_EVENT_BYTES);
      assert.equal((await problemOf(await send(url, tooLarge))).code, 'too-large');
    }
  });

  test('the limit can be set', async (t) => {
    const { url } = await measure(t, { bodyLimitBytes: 10 });
    const statuses = [await post(url, Buffer.alloc(10)), await post(url, Buffer.alloc(11))].map(
      (it) => it.status,
    );
    assert.deepEqual(statuses, [200, 413]);
  });

  test('one of any content type, or none, arrives as bytes and is not parsed', async (t) => {
    const { url } = await measure(t);
    for (const type of ['application/json', 'text/plain', 'application/x-www-form-urlencoded', 'a/b; c=d'])
      assert.equal(await (await post(url, Buffer.from('{"'), { 'content-type': type })).json(), 2);
    assert.equal(await (await post(url, Buffer.from('{"'))).json(), 2);
  });

  test('one whose content type is none is 415', async (t) => {
    const { url } = await measure(t);
    const response = await post(url, 'x', { 'content-type': 'x' });
    assert.equal((await problemOf(response)).code, 'unsupported-media-type');
  });
});

describe('errors', () => {
  /** A server whose `GET /<anything>` throws what `make` makes of it. */
  const throwing = (t: TestContext, make: (what: string) => unknown) =>
    serve(t, {
      routes: (app) =>
        app.get<{ Params: { what: string } }>('/:what', async ({ params }) => {
          throw make(params.what);
        }),
    });

  test('an unknown route is 404, whatever the method, and does not repeat the query', async (t) => {
    const { url } = await serve(t, { routes: (app) => app.get('/known', async () => 'x') });
    for (const [method, path] of [
      ['GET', '/nope?token=canary'],
      ['POST', '/nope'],
      ['OPTIONS', '/nope'],
      ['PUT', '/known/'],
      ['HEAD', '/nope'],
    ] as const) {
      const response = await fetch(`${url}${path}`, { method });
      assert.equal(response.status, 404);
      if (method === 'HEAD') continue;
      const { code, detail } = await problemOf(response);
      assert.deepEqual([code, detail], ['not-found', `no route for ${method} ${path.split('?')[0]}`]);
    }
  });

  test('a method that a path does not take is 405 with Allow, and OPTIONS is 204 with it', async (t) => {
    const { url, open } = await serve(t, {
      routes(app) {
        app.get('/known', async () => 'x');
        app.post('/known', async () => 'x');
        app.post('/of/:id/x.y', async () => 'x');
        app.get('/under/*', (_request, reply) => reply.callNotFound());
      },
    });
    const known = 'GET, HEAD, OPTIONS, POST';
    for (const [method, path, allowed] of [
      ['PUT', '/known?token=canary', known],
      ['DELETE', '/known', known],
      ['GET', '/of/1/x.y', 'OPTIONS, POST'],
      ['HEAD', '/of/1/x.y', 'OPTIONS, POST'],
      ['POST', '/under/a/b', 'GET, HEAD, OPTIONS'],
    ] as const) {
      const response = await fetch(`${url}${path}`, { method });
      assert.deepEqual([response.status, response.headers.get('allow')], [405, allowed], path);
      if (method !== 'HEAD') assert.equal((await problemOf(response)).code, 'method-not-allowed');
      const options = await fetch(`${url}${path}`, { method: 'OPTIONS' });
      assert.deepEqual(
        [options.status, options.headers.get('allow'), await options.text()],
        [204, allowed, ''],
      );
    }
    for (const path of ['/of/1/2/x.y', '/of/1/xzy', '/under/nothing'])
      assert.equal((await fetch(`${url}${path}`)).status, 404);
    const socket = await open();
    const answered = nextAnswer(socket);
    socket.write('OPTIONS * HTTP/1.1\r\nhost: test\r\n\r\n');
    assert.match(await answered, /^HTTP\/1.1 204 .*allow: GET, HEAD, OPTIONS, POST\r/s);
  });

  test('HEAD is answered as GET, without the body', async (t) => {
    const { url } = await serve(t, { routes: (app) => app.get('/', async () => 'four') });
    const response = await fetch(url, { method: 'HEAD' });
    assert.deepEqual(
      [response.status, response.headers.get('content-length'), await response.text()],
      [200, '4', ''],
    );
  });

  test('an AppError is its problem, with Retry-After where a retry is safe, and is not logged', async (t) => {
    const { url, logs } = await throwing(t, (code) => new AppError(code as ErrorCode, `this is ${code}`));
    for (const [code, status, retryAfter] of [
      ['unroutable', 404, null],
      ['rate-limited', 429, '1'],
      ['not-accepted', 503, '1'],
      ['outcome-unknown', 504, null],
    ] as const) {
      const response = await fetch(`${url}/${code}`);
      assert.deepEqual([response.status, response.headers.get('retry-after')], [status, retryAfter]);
      assert.equal((await problemOf(response)).detail, `this is ${code}`);
    }
    assert.deepEqual(logs, []);
  });

  test('an AppError that knows when the same may work says so in Retry-After, in seconds', async (t) => {
    const { url } = await throwing(
      t,
      (ms) => new AppError('rate-limited', 'why', { retryAfterMs: Number(ms) }),
    );
    for (const [ms, seconds] of [
      [1, '1'],
      [1_001, '2'],
      [490_000, '490'],
    ] as const)
      assert.equal((await fetch(`${url}/${ms}`)).headers.get('retry-after'), seconds);
  });

  test('anything else thrown is 500, tells the client nothing, and is logged once', async (t) => {
    const thrown: Record<string, unknown> = {
      error: new Error('canary'),
      upstream: Object.assign(new Error('canary'), { statusCode: 503, code: 'CANARY' }),
      string: 'canary',
      object: { message: 'canary' },
      null: null,
    };
    const { url, logs } = await throwing(t, (what) => thrown[what]);
    for (const what of Object.keys(thrown)) {
      const response = await fetch(`${url}/${what}`);
      const problem = await problemOf(response);
      assert.deepEqual([problem.status, problem.code], [500, 'unexpected'], what);
      assert.doesNotMatch(JSON.stringify([...response.headers, problem]), /canary/i);
    }
    assert.equal(logs.length, Object.keys(thrown).length);
    assert.match(logs[0] ?? '', /canary.*stack.*unexpected error/);
  });

  test('extensions are members of the problem', async (t) => {
    const error = new AppError('unroutable', 'why', { extensions: { event_id: 'e-1' } });
    const { url } = await serve(t, {
      routes: (app) => app.get('/', (_request, reply) => sendProblem(reply, error)),
    });
    assert.equal((await problemOf(await fetch(url))).event_id, 'e-1');
  });

  test('what is not HTTP is 4xx, and its connection is closed', async (t) => {
    const { open } = await serve(t, { routes: (app) => app.post('/', async () => 'x') });
    const malformed = {
      'GARBAGE\r\n\r\n': 400,
      'GET / HTTP/9.9\r\nhost: a\r\n\r\n': 400,
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n': 400,
      'POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n': 400,
      'POST / HTTP/1.1\r\nhost: a\r\na b: c\r\n\r\n': 400,
      [`POST / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}\r\n\r\n`]: 431,
    };
    for (const [request, status] of Object.entries(malformed)) {
      const socket = await open();
      socket.write(request);
      const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n');
      assert.match(head, RegExp(`^HTTP/1.1 ${status} .*content-type: application/problem\\+json`, 's'));
      assert.match(head, RegExp(`content-length: ${body.length}$`, 'm'));
      const problem = JSON.parse(body);
      assert.deepEqual([problem.code, problem.status], ['invalid-request', status]);
    }
  });

  test('a head at fault is refused by a problem with the status that HTTP has for it', async (t) => {
    const { open } = await serve(t, {
      routes: (app) => app.post('/', () => assert.fail('reached the route')),
    });
    const head = (lines: string, host = 'host: a') =>
      `POST / HTTP/1.1\r\n${host}\r\n${lines}connection: close\r\n\r\n`;
    const refused: Record<string, [string, number, RegExp]> = {
      'no host': [head('', 'x: y'), 400, /Host/],
      'two hosts': [head('Host: b\r\n'), 400, /two headers host/],
      'the same host twice': [head('Host: a\r\n'), 400, /two headers host/],
      'two content types': [
        head('content-type: a/b\r\nContent-Type: a/b\r\n'),
        400,
        /two headers content-type/,
      ],
      'two keys': [head('authorization: a\r\nauthorization: b\r\n'), 400, /two headers authorization/],
      'two idempotency keys': [
        head('idempotency-key: "a"\r\nidempotency-key: "a"\r\n'),
        400,
        /two headers idem/,
      ],
      'two ids': [head('ce-id: 1\r\nCE-ID: 2\r\n'), 400, /two headers ce-id/],
      gzip: [head('content-encoding: gzip\r\ncontent-length: 0\r\n'), 415, /content coding gzip/],
      'two codings': [
        head('content-encoding: identity, br\r\ncontent-length: 0\r\n'),
        415,
        /content coding identity, br/,
      ],
      'a transfer coding beside chunked': [
        head('transfer-encoding: gzip, chunked\r\n'),
        501,
        /transfer coding/,
      ],
      'a transfer coding alone': [head('transfer-encoding: x\r\n'), 501, /transfer coding/],
      'an expectation': [head('expect: tea\r\ncontent-length: 0\r\n'), 417, /expectation tea/],
      'a tunnel': ['CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n', 501, /Not Implemented/],
    };
    for (const [name, [request, status, detail]] of Object.entries(refused)) {
      const socket = await open();
      socket.write(request);
      const [top = '', body = ''] = (await text(socket)).split('\r\n\r\n');
      assert.match(top, RegExp(`^HTTP/1.1 ${status} .*content-type: application/problem\\+json`, 'si'), name);
      assert.match(body, RegExp(`"status":${status}.*${detail.source}`), name);
      assert.equal(/^accept-encoding: identity$/im.test(top), status === 415, name);
    }
  });

  test('headers that may come twice, and codings that change nothing, are taken', async (t) => {
    const { open } = await serve(t, {
      routes: (app) => app.post('/', async ({ headers }) => String(headers.prefer)),
    });
    const socket = await open();
    const answered = nextAnswer(socket);
    const many = 'a:\r\n'.repeat(2_100);
    socket.write(
      `POST / HTTP/1.1\r\nhost: a\r\nprefer: a\r\ncontent-encoding: Identity\r\n${many}prefer: b\r\ncontent-length: 0\r\n\r\n`,
    );
    // Beyond 2,000 Node drops headers by default.
    assert.match(await answered, /^HTTP\/1.1 200 .*a, b$/s);
  });

  test('a path that is no URL is 400', async (t) => {
    const { open } = await throwing(t, () => assert.fail('reached the route'));
    const socket = await open();
    const answered = nextAnswer(socket);
    socket.write(get('/%zz'));
    assert.match(await answered, /^HTTP\/1.1 400 .*urn:waybill:problem:invalid-request/s);
  });
});

describe('health', () => {
  test('is live at all times, and ready when there is no reason against it, else 503 with the reason', async (t) => {
    let reason: string | undefined = 'no broker yet';
    const { url } = await serve(t, { routes: (app) => addHealthRoutes(app, () => reason) });
    const look = async (name: string) => {
      const response = await fetch(`${url}/health/${name}`);
      return [response.status, await response.json()];
    };
    assert.deepEqual(await look('ready'), [503, { status: 'not ready', reason: 'no broker yet' }]);
    assert.deepEqual(await look('live'), [200, { status: 'live' }]);
    reason = undefined;
    assert.deepEqual(await look('ready'), [200, { status: 'ready' }]);
  });
});

describe('limits', () => {
  test('requests, headers and connections are bounded, and clients are first to close', async (t) => {
    const { app } = await serve(t, { routes: () => {} });
    const { requestTimeout, headersTimeout, timeout, maxConnections, keepAliveTimeout } = app.server;
    assert.deepEqual(
      [requestTimeout, headersTimeout, timeout, maxConnections],
      [10_000, 5_000, 60_000, 10_000],
    );
    assert(keepAliveTimeout > 60_000);
  });

  test('a request whose headers never end is answered 408 in seconds', async (t) => {
    const { open } = await serve(t, { routes: () => {} });
    const socket = await open();
    const answered = nextAnswer(socket);
    socket.write('GET / HTTP/1.1\r\nhost: x\r\nx-half: ');
    const startedMs = performance.now();
    assert.match(await answered, /^HTTP\/1.1 408/);
    // 5 s and a check each second; with Node's own interval of 30 s it took 29 s.
    assert.ok(performance.now() - startedMs < 20_000);
  });

  test('a client that does not read its answer is cut off, and gives its place to another', async (t) => {
    const { app, open } = await serve(t, {
      maxConnections: 1,
      silenceTimeoutMs: 100,
      routes: (app) => {
        app.get('/', async () => 'x');
        // More than the system takes for a reader that takes nothing.
        app.get('/large', async () => Buffer.alloc(64 * 1024 * 1024));
      },
    });
    const connected = once(app.server, 'connection');
    const stalled = await open();
    const [socket] = (await connected) as [Socket];
    stalled.write(get('/large'));
    await once(socket, 'close');
    const other = await open();
    const answered = nextAnswer(other);
    other.write(get('/'));
    assert.match(await answered, /^HTTP\/1.1 200/);
  });

  test('a client that reads its answer steadily but too slowly is cut off', async (t) => {
    const { app, open } = await serve(t, {
      routes: (routed) => {
        limitAnswerTime(routed, 500);
        routed.get('/large', async () => Buffer.alloc(64 * 1024 * 1024));
      },
    });
    const connected = once(app.server, 'connection');
    const slow = await open();
    const [socket] = (await connected) as [Socket];
    slow.on('data', () => {
      slow.pause();
      setTimeout(() => slow.resume(), 10);
    });
    slow.write(get('/large'));
    await once(socket, 'close', { signal: AbortSignal.timeout(8_000) });
    assert.ok(slow.bytesRead > 0);
  });

  test('a connection over the limit is closed, and those within it go on', async (t) => {
    const { open } = await serve(t, { maxConnections: 1, routes: (app) => app.get('/', async () => 'x') });
    const first = await open();
    await once(await open(), 'close');
    const answered = nextAnswer(first);
    first.write(get('/'));
    assert.match(await answered, /^HTTP\/1.1 200/);
  });
});

describe('closing', () => {
  test('a client that has closed its half is answered, and one that has gone is noticed', async (t) => {
    const requested = new EventEmitter();
    const { open } = await serve(t, {
      routes: (app) => app.get('/', (_request, reply) => void requested.emit('request', reply)),
    });
    const half = await open();
    const halfRequest = once(requested, 'request');
    half.end(get('/'));
    const [reply] = (await halfRequest) as [FastifyReply];
    // One, and on a slow machine the next.
    assert.match(await nextAnswer(half), /^(HTTP\/1.1 100 Continue\r\n\r\n)+$/);
    const rest = text(half);
    reply.send('here');
    assert.match(await rest, /HTTP\/1.1 200 .*here$/s);

    const gone = await open();
    const goneRequest = once(requested, 'request');
    gone.write(get('/'));
    const [unread] = (await goneRequest) as [FastifyReply];
    gone.destroy();
    await once(unread.raw, 'close');
    assert.equal(unread.raw.writableFinished, false);
  });

  const large = 'x'.repeat(65_536);
  const unread: Record<string, [string, number]> = {
    'a chunked body over the limit': [
      `POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${`10000\r\n${large}\r\n`.repeat(80)}0\r\n\r\n`,
      413,
    ],
    'a chunked body that nobody wants': [
      `PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n${`10000\r\n${large}\r\n`.repeat(80)}0\r\n\r\n`,
      405,
    ],
    'an expectation that nobody meets': [
      `POST / HTTP/1.1\r\nhost: a\r\nexpect: tea\r\ncontent-length: 5242880\r\n\r\n${large.repeat(80)}`,
      417,
    ],
    'headers over the limit': [`GET / HTTP/1.1\r\nhost: a\r\nx: ${large.repeat(80)}`, 431],
    'what is not HTTP': [large.repeat(80), 400],
  };
  for (const [name, [request, status]] of Object.entries(unread))
    test(`no reset overtakes the answer to ${name}, though 5 MB of it are not read yet`, async (t) => {
      const { open } = await serve(t, { routes: (app) => app.post('/', async () => 'x') });
      const socket = await open();
      const answered = text(socket);
      socket.write(request);
      assert.match(await answered, RegExp(`^HTTP/1.1 ${status} `));
    });

  test('a tunnel that is asked for and reset ends nothing but its connection', async (t) => {
    const { app, open } = await serve(t, { routes: () => {} });
    const asked = once(app.server, 'connect');
    const socket = await open();
    socket.write('CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n');
    const [, tunnel] = (await asked) as [unknown, Socket];
    const closed = new Promise((resolve) => tunnel.once('close', resolve));
    tunnel.emit('error', new Error('read ECONNRESET'));
    socket.resetAndDestroy();
    await closed;
  });

  test('5 MB are answered 413 to a client that sends first and reads then', async (t) => {
    const { url } = await serve(t, { routes: (app) => app.post('/', async () => 'x') });
    const post = async () => (await fetch(url, { method: 'POST', body: Buffer.alloc(5_000_000) })).status;
    assert.deepEqual(await Promise.all(Array.from({ length: 20 }, post)), Array(20).fill(413));
  });
});
