import assert from 'node:assert/strict';
import { it } from 'node:test';
import { pino } from 'pino';
import { createClockCheck } from './clock-check.ts';
import { signRequest } from './http-signature.ts';
import { createInternalApp } from './internal-app.ts';
import { deriveInternalKeys } from './internal-keys.ts';

it('callers of a route with keys of its own say nothing of the clock of the process', async (t) => {
  const keysOf = (name: string) => deriveInternalKeys([`a secret that only this test knows: ${name}`]).call;
  const [tiers, listeners] = [keysOf('tiers'), keysOf('listeners')];
  const clock = createClockCheck();
  const app = createInternalApp({
    ...{ log: pino({ level: 'silent' }), keys: tiers, clock },
    routes: { '/calls': async () => ({}), '/results': { keys: listeners, handle: async () => ({}) } },
  });
  t.after(() => app.close());
  const post = async (path: string, keys: typeof tiers, aheadMs = 0) => {
    const signature = signRequest({ method: 'POST', path, body: '{}', keys, nowMs: Date.now() + aheadMs });
    const headers = { 'content-type': 'application/json', ...signature };
    return (await app.inject({ method: 'POST', url: path, headers, payload: '{}' })).statusCode;
  };

  assert.equal(await post('/results', listeners, 600_000), 401);
  assert.equal(clock.readiness(), undefined);
  assert.equal(await post('/results', listeners), 200);
  assert.equal(clock.isConfirmed(), false);

  assert.equal(await post('/calls', tiers, 600_000), 401);
  assert.match(clock.readiness() ?? '', /ahead/);
});
