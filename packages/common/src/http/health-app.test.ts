import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { createHealthApp } from './health-app.ts';
import { portOf } from './http-server.ts';

test('serves health and nothing else', async (t) => {
  let reason: string | undefined = 'stopping';
  const app = createHealthApp({ log: pino({ level: 'silent' }), readiness: () => reason });
  t.after(() => app.close());
  await app.listen({ host: '127.0.0.1', port: 0 });
  const statusOf = async (path: string) => (await fetch(`http://127.0.0.1:${portOf(app)}${path}`)).status;

  assert.equal(await statusOf('/health/ready'), 503);
  reason = undefined;
  assert.equal(await statusOf('/health/ready'), 200);
  assert.equal(await statusOf('/health/live'), 200);
  for (const path of ['/', '/types']) assert.equal(await statusOf(path), 404);
  assert.equal(app.server.maxConnections, 100);
});

test('tells what its process says of event types', async (t) => {
  const types = { Ping: { data: { type: 'object' } } };
  const app = createHealthApp({
    log: pino({ level: 'silent' }),
    readiness: () => 'starting',
    describe: () => types,
  });
  t.after(() => app.close());
  assert.deepEqual((await app.inject('/types')).json(), types);
});
