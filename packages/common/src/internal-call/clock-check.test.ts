import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { pino } from 'pino';
import { type ClockCheck, createClockCheck } from './clock-check.ts';
import { signRequest } from './http-signature.ts';
import { createInternalApp } from './internal-app.ts';
import { deriveInternalKeys } from './internal-keys.ts';

const { call: keys } = deriveInternalKeys(['a secret of this test with more than 32 characters']);

describe('a tier', () => {
  const clock: ClockCheck = createClockCheck();
  let app: FastifyInstance;
  let url: string;
  before(async () => {
    const log = pino({ level: 'silent' });
    app = createInternalApp({ log, keys, clock, routes: { '/events': async () => ({}) } });
    url = await app.listen({ host: '127.0.0.1', port: 0 });
  });
  after(() => app.close());

  function call(skewMs: number): Promise<Response> {
    const body = '[]';
    const signature = signRequest({
      method: 'POST',
      path: '/events',
      body,
      keys,
      nowMs: Date.now() + skewMs,
    });
    const headers = { 'content-type': 'application/json', ...signature };
    return fetch(`${url}/events`, { method: 'POST', body, headers });
  }

  test('whose clock is behind its peer refuses readiness until a call is accepted again, and tells the peer', async () => {
    const refused = await call(120_000);
    assert.equal(refused.status, 401);
    const { clock_skew_ms } = (await refused.json()) as { clock_skew_ms: number };
    assert.ok(Math.abs(clock_skew_ms - 120_000) < 30_000);
    assert.match(String(clock.readiness()), /^the clock of a peer is 1\d\d s ahead of this one's$/);

    assert.equal((await call(2_000)).status, 200);
    assert.equal(clock.readiness(), undefined);
  });

  test('stays ready when a call is late: it may be an old one, played again', async () => {
    assert.equal((await call(-120_000)).status, 401);
    assert.equal(clock.readiness(), undefined);
  });
});

test('a clock differs one way or the other, for ten seconds, unless a peer agrees', () => {
  let nowMs = 0;
  const clock = createClockCheck({ nowMs: () => nowMs });
  clock.differs(-61_000);
  assert.equal(clock.readiness(), "the clock of a peer is 61 s behind this one's");
  clock.agrees();
  clock.differs(61_000);
  assert.equal(clock.readiness(), undefined, 'one that agrees outvotes it');
  assert.equal(clock.isConfirmed(), true);
  nowMs = 11_000;
  assert.equal(clock.isConfirmed(), false, 'nobody has agreed of late');
  clock.differs(61_000);
  assert.match(String(clock.readiness()), /ahead/);
  nowMs = 22_000;
  assert.equal(clock.readiness(), undefined, 'nobody differs any more');
});
