import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { hang, type OnBatch, reset, type StandIn, startStandIn } from '@waybill/test-harness/stand-in.ts';
import { Pool } from 'undici';
import { INTERNAL_BODY_LIMIT_BYTES, LARGEST_EVENT_BYTES } from '../batch-limits.ts';
import { createCallTier, type TierAnswer } from './call-tier.ts';
import { createClockCheck } from './clock-check.ts';
import { deriveInternalKeys } from './internal-keys.ts';

const { call: keys } = deriveInternalKeys(['a secret of this test with more than 32 characters']);
let clock: ReturnType<typeof createClockCheck>;
beforeEach(() => {
  clock = createClockCheck();
});

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of cleanUp.splice(0).reverse()) await close();
});

async function start(onBatch: OnBatch): Promise<StandIn> {
  const tier = await startStandIn({ keys, onBatch });
  cleanUp.push(tier.close);
  return tier;
}

function poolOf(url: string): Pool {
  const pool = new Pool(url, { connections: 1 });
  cleanUp.push(() => pool.destroy());
  return pool;
}

function call(
  connections: Pool,
  { timeoutMs = 5_000, body = Buffer.from('[{}]'), parse = JSON.parse as (text: string) => unknown } = {},
): Promise<TierAnswer<unknown>> {
  return createCallTier({ keys, clock })({ connections, path: '/events', body, timeoutMs, parse });
}

const sayHello: OnBatch = (_events, response) => response.end('{"hello":"ü"}');

describe('a call to a tier', () => {
  it('is signed, and answered by what the tier says; then the clocks agree', async () => {
    const answer = await call(poolOf((await start(sayHello)).url));
    assert.deepEqual(answer, { kind: 'answered', answer: { hello: 'ü' } });
    assert.equal(clock.isConfirmed(), true);
  });

  it('is answered by as much as the largest event has', async () => {
    const event = JSON.stringify('x'.repeat(LARGEST_EVENT_BYTES));
    const tier = await start((_events, response) => response.end(event));
    const answer = await call(poolOf(tier.url), { timeoutMs: 60_000 });
    assert.equal(answer.kind === 'answered' && String(answer.answer).length, LARGEST_EVENT_BYTES);
  });

  it('leaves no timer behind', async () => {
    const timers = () => process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length;
    const before = timers();
    await call(poolOf((await start(sayHello)).url), { timeoutMs: 60_000 });
    assert.equal(timers(), before);
  });

  it('is refused by any other status, with the problem that came along', async () => {
    const problem = '{"code":"not-accepted"}';
    const tier = await start((_events, response) => response.writeHead(503).end(problem));
    const refused = { kind: 'refused', status: 503, problem: { code: 'not-accepted' } };
    assert.deepEqual(await call(poolOf(tier.url)), refused);
    tier.onBatch = (_events, response) => response.writeHead(502).end('<html>');
    assert.deepEqual(await call(poolOf(tier.url)), { kind: 'refused', status: 502, problem: {} });
    assert.equal(clock.isConfirmed(), false);
  });

  it('tells by how much the clocks differ, when a 401 says so', async () => {
    const problem = '{"clock_skew_ms":90000}';
    await call(poolOf((await start((_events, response) => response.writeHead(401).end(problem))).url));
    assert.match(String(clock.readiness()), /90 s behind/);
  });

  const failures: Record<string, OnBatch> = {
    'is reset': reset,
    'is not answered in time': hang,
    'has an answer that does not end in time': (_events, response) => response.write('{'),
    'has an answer that its caller does not understand': (_events, response) => response.end('<html>'),
    'has an answer larger than any': (_events, response) =>
      response.end(`"${'x'.repeat(INTERNAL_BODY_LIMIT_BYTES)}"`),
  };
  for (const [name, onBatch] of Object.entries(failures))
    it(`that ${name} may have got through, and the clock is not judged`, async () => {
      const answer = await call(poolOf((await start(onBatch)).url), { timeoutMs: 300 });
      assert.deepEqual([answer.kind, 'isWritten' in answer && answer.isWritten], ['failed', true]);
      assert.deepEqual([clock.isConfirmed(), clock.readiness()], [false, undefined]);
    });

  it('has not got through where nobody listens', async () => {
    const tier = await start(sayHello);
    await tier.close();
    const answer = await call(poolOf(tier.url));
    assert.deepEqual([answer.kind, 'isWritten' in answer && answer.isWritten], ['failed', false]);
  });

  it('has not got through when its time was over before it had a connection, and is not sent later', async () => {
    const held: Parameters<OnBatch>[1][] = [];
    const tier = await start((_events, response) => held.push(response));
    const pool = poolOf(tier.url);
    const first = call(pool);
    await tier.batch(0);
    const answer = await call(pool, { timeoutMs: 50 });
    assert.deepEqual([answer.kind, 'isWritten' in answer && answer.isWritten], ['failed', false]);
    tier.onBatch = sayHello;
    held[0]?.end('{}');
    assert.equal((await first).kind, 'answered');
    assert.equal((await call(pool)).kind, 'answered');
    assert.equal(tier.batches.length, 2);
  });

  it('has not got through when its connections are closed', async () => {
    const pool = poolOf((await start(sayHello)).url);
    await pool.close();
    const answer = await call(pool);
    assert.deepEqual([answer.kind, 'isWritten' in answer && answer.isWritten], ['failed', false]);
  });

  it('has more time when it is large', async () => {
    const slow: OnBatch = (_events, response) => setTimeout(() => response.end('{}'), 400);
    const tier = await start(slow);
    const body = Buffer.from(JSON.stringify(['x'.repeat(512 * 1024)]));
    assert.equal((await call(poolOf(tier.url), { timeoutMs: 100, body })).kind, 'answered');
    assert.equal((await call(poolOf(tier.url), { timeoutMs: 100 })).kind, 'failed');
  });
});
