import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { usePublicWeb } from '../../public-web.fixture.ts';

/** More than the two seconds over which the delay is looked at. */
const STALL_MS = 2_500;
// The mean of two seconds with a stall in it is more than 12 (2,500 by at most 200 samples); without one, far less.
const { dispatcher, publicWeb } = await usePublicWeb({ env: { MAX_EVENT_LOOP_DELAY_MS: '5' } });

function get(path: string): Promise<Response> {
  return fetch(publicWeb.baseUrl + path, { headers: { connection: 'close' } });
}

/** The answer to a request that comes while the process stands still. */
async function getWhileStalled(): Promise<Response> {
  publicWeb.kill('SIGSTOP');
  const response = get('/ping');
  await delay(STALL_MS);
  publicWeb.kill('SIGCONT');
  return response;
}

it('answers 503 with Retry-After after a stall, and nothing is sent; health answers; then it takes requests again', async () => {
  let response: Response;
  // A stall that sets in just before the delay is looked at is seen two seconds later only.
  for (let attempts = 10; ; attempts -= 1) {
    dispatcher.batches.length = 0;
    response = await getWhileStalled();
    if (response.status !== 200 || attempts === 0) break;
  }
  assert.equal((await get('/health/ready')).status, 200);
  const problem = (await response.json()) as Record<string, unknown>;
  assert.deepEqual(
    [response.status, problem.code, problem.detail],
    [503, 'not-accepted', 'this instance is overloaded'],
  );
  assert.match(String(response.headers.get('content-type')), /^application\/problem\+json/);
  assert.equal(response.headers.get('retry-after'), '1');
  assert.equal(dispatcher.batches.length, 0);
  await eventually(async () => assert.equal((await get('/ping')).status, 200), { timeoutMs: 60_000 });
});
