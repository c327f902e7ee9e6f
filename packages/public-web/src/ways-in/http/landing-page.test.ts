import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Fastify from 'fastify';
import { createRecentEvents } from '../../core/recent-events.ts';
import { addLandingPage } from './landing-page.ts';

const log = { info() {}, debug() {} };

describe('GET /', () => {
  it('leads to the docs', async () => {
    const app = Fastify();
    addLandingPage(app, { types: () => ({}) });
    const { statusCode, headers } = await app.inject('/');
    assert.deepEqual([statusCode, headers.location], [302, '/docs']);
  });

  it('shows in development the types, with an example of each, and the last events, the latest first', async () => {
    const app = Fastify();
    const recent = createRecentEvents({ max: 2 });
    const data = { examples: [{ name: "O'Hara" }] };
    addLandingPage(app, { types: () => ({ 'Order.Place': { data }, PingRequest: {} }), recent });
    assert.match((await app.inject('/')).body, /None yet/);

    const told: string[] = [];
    const account = recent.kept(({ event }) => void told.push(event.id));
    const outcome = { log, label: 'x', code: undefined, success: 'answered' as const, durationMs: 1.6 };
    for (const id of ['forgotten', 'first', '<script>"&'])
      account({ ...outcome, event: { id, type: 'Order.Place' }, status: 200 });
    assert.deepEqual(told, ['forgotten', 'first', '<script>"&']);

    const { body, headers } = await app.inject({ url: '/', headers: { host: 'localhost:8080' } });
    assert.match(
      String(headers['content-security-policy']),
      /^default-src 'none'; style-src 'unsafe-inline';/,
    );
    assert.match(body, /curl http:\/\/localhost:8080\/ .*&#34;name&#34;:&#34;O&#39;\\&#39;&#39;Hara&#34;/);
    assert.match(body, /\{&#34;type&#34;:&#34;PingRequest&#34;\}/);
    assert.match(body, /<td>2 ms<\/td><td>&#60;script&#62;&#34;&#38;<\/td>[\s\S]*<td>first<\/td>/);
    assert.doesNotMatch(body, /forgotten|<script/);
  });

  it('shows what to type for the protocol that it was asked by', async () => {
    const app = Fastify({ trustProxy: true });
    addLandingPage(app, { types: () => ({ PingRequest: {} }), recent: createRecentEvents({ max: 2 }) });
    const headers = { host: 'localhost:8080', 'x-forwarded-proto': 'https' };
    assert.match((await app.inject({ url: '/', headers })).body, /curl https:\/\/localhost:8080\/ /);
  });
});
