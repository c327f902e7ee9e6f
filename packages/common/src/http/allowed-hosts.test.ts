import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';
import { createAllowedHosts, refuseOtherHosts } from './allowed-hosts.ts';
import { serve } from './http-server.fixture.ts';

const PLAIN = [
  'localhost',
  'LOCALHOST:8080',
  'localhost.',
  'a.localhost',
  '127.0.0.1',
  '10.1.2.3:8080',
  '[::1]:8080',
  '[2001:db8::1]',
  'public-web:8080',
  'public-web.default.svc.cluster.local',
  'host.docker.internal:8080',
];
const OTHERS = [
  'evil.example:8080',
  'localhost.evil.example',
  '127.0.0.1.evil.example',
  'a.b',
  '',
  '[::1',
  'a b.c',
  '1.2.3.4.',
];

test('addresses and names that nobody can register are taken, whatever is listed', () => {
  for (const names of [[], ['api.example.com']])
    for (const host of PLAIN) assert.equal(createAllowedHosts(names)(host), true, host);
  assert.equal(createAllowedHosts([])(undefined), true);
});

test('other names are taken only when they are listed', () => {
  const isAllowed = createAllowedHosts(['api.example.com', '*.shop.example']);
  for (const host of OTHERS.slice(0, 4)) assert.equal(isAllowed(host), false, host);
  for (const host of ['api.example.com', 'API.example.com.:443', 'a.shop.example', 'a.b.shop.example:1'])
    assert.equal(isAllowed(host), true, host);
  for (const host of [
    'x.api.example.com',
    'shop.example',
    'evilshop.example',
    'api.example.com.evil.example',
  ])
    assert.equal(isAllowed(host), false, host);
  assert.equal(createAllowedHosts(['*'])('evil.example'), true);
});

test('a request for another host is 421 and reaches no route, but health is told to all', async (t) => {
  let reached = 0;
  const { app } = await serve(t, {
    routes(app) {
      refuseOtherHosts(app, createAllowedHosts([]));
      for (const path of ['/health/live', '/events']) app.get(path, async () => ({ reached: ++reached }));
    },
  });
  const address = app.server.address() as { port: number };
  const statusOf = (path: string, host: string) =>
    new Promise((resolve) =>
      request({ port: address.port, host: '127.0.0.1', path, headers: { host } }, (response) =>
        resolve(response.resume().statusCode),
      ).end(),
    );
  assert.equal(await statusOf('/events', 'evil.example'), 421);
  assert.equal(await statusOf('/nothing', 'evil.example'), 421);
  assert.equal(reached, 0);
  assert.equal(await statusOf('/health/live', 'evil.example'), 200);
  assert.equal(await statusOf('/events', 'localhost'), 200);
});
