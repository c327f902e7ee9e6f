import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { AppError } from '@waybill/common/errors.ts';
import { createHttpServer } from '@waybill/common/http/http-server.ts';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { allowOrigins } from './cors.ts';

const SHOP = 'https://shop.example';

async function serve(origins: string[]): Promise<FastifyInstance> {
  const app = createHttpServer({ log: pino({ level: 'silent' }) });
  await allowOrigins(app, origins);
  await app.register(async (guarded) => {
    guarded.addHook('onRequest', (request, _reply, done) =>
      done(request.headers.authorization ? undefined : new AppError('unauthorized', 'a key is needed')),
    );
    guarded.post('/events', async () => ({}));
  });
  return app;
}

/** What a browser asks before a page of `origin` may send an event. */
const preflight = (origin: string) => ({
  method: 'OPTIONS' as const,
  url: '/events',
  headers: {
    origin,
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'authorization,ce-type,content-type,idempotency-key',
  },
});

describe('web pages of other origins', () => {
  let app: FastifyInstance;
  before(async () => {
    app = await serve([SHOP]);
  });
  after(() => app.close());

  const post = (origin: string, headers = {}) =>
    app.inject({ method: 'POST', url: '/events', headers: { origin, ...headers }, payload: '' });

  it('are told before they send anything, without a key, that they may', async () => {
    const { statusCode, headers, body } = await app.inject(preflight(SHOP));
    assert.deepEqual([statusCode, body], [204, '']);
    assert.equal(headers['access-control-allow-origin'], SHOP);
    assert.match(String(headers['access-control-allow-methods']), /POST/);
    assert.equal(
      headers['access-control-allow-headers'],
      'authorization,ce-type,content-type,idempotency-key',
    );
    assert.equal(headers['access-control-allow-credentials'], undefined);
    assert.match(String(headers.vary), /origin/i);
  });

  it('may read the answer and its headers, also where it is a problem', async () => {
    for (const [headers, status] of [
      [{ authorization: 'Bearer key' }, 200],
      [{}, 401],
    ] as const) {
      const answer = await post(SHOP, headers);
      assert.equal(answer.statusCode, status);
      assert.equal(answer.headers['access-control-allow-origin'], SHOP);
      assert.equal(answer.headers['access-control-expose-headers'], '*');
    }
  });

  it('may not, where their origin is not listed', async () => {
    for (const other of [
      'https://evil.example',
      'http://shop.example',
      'https://shop.example:8443',
      'null',
    ]) {
      assert.equal((await app.inject(preflight(other))).headers['access-control-allow-origin'], undefined);
      assert.equal((await post(other)).headers['access-control-allow-origin'], undefined);
    }
  });

  it('find no path that there is not, whatever they may send', async () => {
    const answer = await app.inject({ method: 'POST', url: '/nope', headers: { origin: SHOP } });
    assert.deepEqual([answer.statusCode, answer.headers.allow], [404, undefined]);
    const { statusCode, headers } = await app.inject({ method: 'PUT', url: '/events' });
    assert.deepEqual([statusCode, headers.allow], [405, 'OPTIONS, POST']);
  });

  it('may all, if * is listed, and none, if nothing is', async (t) => {
    const [all, none] = [await serve(['*']), await serve([])];
    t.after(() => Promise.all([all.close(), none.close()]));
    const allowed = async (server: FastifyInstance) =>
      (await server.inject(preflight(SHOP))).headers['access-control-allow-origin'];
    assert.deepEqual([await allowed(all), await allowed(none)], ['*', undefined]);
  });
});
