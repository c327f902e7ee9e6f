/** The answer to every method on every route of every HTTP port, on the apps as their processes make them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { createHealthApp } from '@waybill/common/http/health-app.ts';
import { portOf } from '@waybill/common/http/http-server.ts';
import { createInternalApp } from '@waybill/common/internal-call/internal-app.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { createDevTelemetryApp } from '../packages/dev-telemetry/src/app.ts';
import { createMetricStore } from '../packages/dev-telemetry/src/metric-store.ts';
import { createTraceStore } from '../packages/dev-telemetry/src/store.ts';
import { createAdmit } from '../packages/public-web/src/admission/admission.ts';
import { createTickets } from '../packages/public-web/src/admission/tickets.ts';
import { createIdempotency } from '../packages/public-web/src/idempotency/create-idempotency.ts';
import { createMemoryIdempotencyStore } from '../packages/public-web/src/idempotency/idempotency-store.ts';
import { createHeldReplies } from '../packages/public-web/src/replies/held-replies.ts';
import { createPublicApp } from '../packages/public-web/src/ways-in/http/app.ts';

const log = pino({ level: 'silent' });
const keys = deriveInternalKeys(['a secret that only this test knows']).call;
/** Nothing of these tests comes so far that it is asked. */
const unused = undefined as never;

const METHODS = [
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
  'QUERY',
  'PURGE',
  'PROPFIND',
];

/** By path: what the methods answer that it takes, when they come without a body (and, here, without a store). A `HEAD` is as its `GET`. */
type Routes = Record<string, { GET?: number; POST?: number; DELETE?: number }>;
const HEALTH: Routes = { '/health/live': { GET: 200 }, '/health/ready': { GET: 200 } };
const DOCS = [
  '/docs',
  '/docs/',
  '/docs/static/swagger-initializer.js',
  '/docs/json',
  '/docs/yaml',
  '/docs/static/theme/theme.css',
];

const servers: Record<string, { create(): Promise<FastifyInstance> | FastifyInstance; routes: Routes }> = {
  'public-web': {
    create: async () => {
      const { app } = await createPublicApp({
        types: () => ({}),
        log,
        admit: createAdmit({ apiKeys: undefined, addressRate: undefined } as never),
        acceptClient: unused,
        answerEvent: async (event) => ({ id: event.id, reply: { ...event, type: 'PingResponse' } }),
        idempotency: createIdempotency({
          store: createMemoryIdempotencyStore({ windowMs: 1_000, maxKeys: 1 }),
          deadlineMs: 1_000,
          maxJoined: 1,
        }),
        deadlineMs: 1_000,
        held: createHeldReplies(),
        allowedHosts: [],
        readiness: () => undefined,
        maxConnections: 1_000,
        maxEventLoopDelayMs: 1e6,
        tickets: createTickets({ keys }),
        allowedOrigins: [],
      });
      return app;
    },
    routes: {
      '/tickets': { POST: 201 },
      '/ws': { GET: 426 },
      '/': { GET: 302, POST: 415 },
      '/events': { POST: 415 },
      '/requests/:place': { GET: 501, DELETE: 501 },
      '/clients/:client/mailbox': { GET: 501 },
      '/clients/:client/events': { GET: 501, POST: 501 },
      '/ping': { GET: 200, POST: 200 },
      '/clients': { POST: 415 },
      '/asyncapi.json': { GET: 200 },
      '/openapi.json': { GET: 200 },
      ...Object.fromEntries(DOCS.map((path) => [path, { GET: 200 }])),
      '/docs/static/index.html': { GET: 302 },
      '/docs/static/*': { GET: 404 },
      ...HEALTH,
    },
  },
  'an internal port': {
    create: () => createInternalApp({ log, keys, clock: unused, routes: { '/dispatch': async () => ({}) } }),
    routes: { '/dispatch': { POST: 401 } },
  },
  'the health ports': { create: () => createHealthApp({ log, readiness: () => undefined }), routes: HEALTH },
  'dev-telemetry': {
    create: () =>
      createDevTelemetryApp({
        log,
        store: createTraceStore({ maxBytes: 1_000 }),
        metrics: createMetricStore(),
        readiness: () => undefined,
      }),
    routes: {
      '/v1/traces': { POST: 415 },
      '/metrics': { GET: 200 },
      '/v1/logs': { POST: 415 },
      '/v1/metrics': { POST: 415 },
      '/api/v2/traces/:id': { GET: 400 },
      '/api/search': { GET: 400 },
      '/loki/api/v1/query_range': { GET: 400 },
      ...HEALTH,
    },
  },
};

for (const [name, { create, routes }] of Object.entries(servers))
  describe(name, () => {
    test('has these routes and no others', async (t) => {
      const app = await listen(t, create);
      for (const [url, methods] of Object.entries(routes))
        for (const method of Object.keys(methods))
          assert.ok(app.hasRoute({ method, url }), `${method} ${url}`);
      // One line for each path, with its methods.
      const paths = app.printRoutes({ commonPrefix: false }).match(/\([A-Z, ]+\)$/gm);
      assert.equal(paths?.length, Object.keys(routes).length);
    });

    for (const [path, taken] of Object.entries(routes))
      test(`${path} answers every method`, async (t) => {
        const app = await listen(t, create);
        const byMethod: Record<string, number | undefined> = { ...taken, HEAD: taken.GET, OPTIONS: 204 };
        const allowed = Object.keys(byMethod)
          .filter((method) => byMethod[method])
          .sort()
          .join(', ');
        for (const method of METHODS) {
          const { status, allow, type, body } = await ask(app, method, path);
          const expected = byMethod[method] ?? 405;
          assert.equal(status, expected, method);
          assert.equal(allow, [204, 405].includes(expected) ? allowed : undefined, method);
          if (method === 'HEAD' || status === 204) assert.equal(body, '', method);
          else if (status >= 400)
            assert.deepEqual([type, JSON.parse(body).status], ['application/problem+json', status]);
        }
      });

    test('answers 404 elsewhere, whatever the method', async (t) => {
      const app = await listen(t, create);
      for (const path of ['/nowhere', '/health', '/events/', '/dispatch/x', '/EVENTS'])
        for (const method of METHODS)
          assert.equal((await ask(app, method, path)).status, 404, `${method} ${path}`);
    });

    test('answers methods that are of no path: CONNECT, OPTIONS *, and what is none', async (t) => {
      const app = await listen(t, create);
      assert.match(await raw(app, 'CONNECT a:80'), /^HTTP\/1.1 501 .*problem\+json/s);
      assert.match(await raw(app, 'OPTIONS *'), /^HTTP\/1.1 204 .*allow: .*OPTIONS/s);
      assert.match(await raw(app, 'BREW /'), /^HTTP\/1.1 400 .*problem\+json/s);
    });
  });

async function listen(t: TestContext, create: () => Promise<FastifyInstance> | FastifyInstance) {
  const app = await create();
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(() => app.close());
  return app;
}

async function ask(app: FastifyInstance, method: string, path: string) {
  // Only this one has to have a type (draft-ietf-httpbis-safe-method-w-body).
  const type = method === 'QUERY' ? { 'content-type': 'a/b' } : {};
  const options = {
    host: '127.0.0.1',
    port: portOf(app),
    method,
    path,
    headers: { 'content-length': 0, ...type },
    agent: false,
  };
  const sent = request(options).end();
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  return {
    status: response.statusCode as number,
    allow: response.headers.allow,
    type: response.headers['content-type']?.split(';', 1)[0],
    body: await text(response),
  };
}

async function raw(app: FastifyInstance, line: string): Promise<string> {
  const socket = connect(portOf(app) as number, '127.0.0.1');
  socket.write(`${line} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n`);
  return await text(socket);
}
