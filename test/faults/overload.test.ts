import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Service } from '../harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '../harness/test-broker.ts';
import { type Answer, ask, median } from './client.ts';
import { createTiers, type Tiers } from './tiers.ts';

const OVERLOAD = 3;
const WAIT_S = 2;
/** Peak is measured, and the load lasts, so long; what its first part does is not counted, because queues fill then. */
const PEAK_MS = 2_000;
const LOAD_MS = 10_000;
const FILLING_MS = 4_000;
const TICK_MS = 10;
/** docs/reliability.md has what was measured; this must hold on a machine that is busy with other things. */
const MIN_GOODPUT = 0.5;
const MAX_REFUSAL_MS = 50;

describe('three times the load that listeners can do', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  let tiers: Tiers;
  let publicWeb: Service;
  before(async () => {
    broker = await freshBroker();
    tiers = await createTiers(broker.url);
    await tiers.startDispatcher({ LOG_LEVEL: 'info' });
    publicWeb = await tiers.startPublicWeb({ LOG_LEVEL: 'info' });
    await tiers.startBehaviours({ CONCURRENCY: '4', LOG_LEVEL: 'info' });
  });
  after(async () => {
    await tiers?.stopAll();
    await broker?.close();
  });

  const work = () => ask(publicWeb, { type: 'behaviours.Work', data: { ms: 20 }, waitS: WAIT_S });

  it('leaves most of their work to answers that are in time, and the rest is refused at once', async (t) => {
    const peak = (await saturate(work, 32)).filter(({ status }) => status === 200).length / PEAK_MS;
    const answers = await flood(work, OVERLOAD * peak);
    const counted = answers.filter(({ atMs }) => atMs >= FILLING_MS && atMs < LOAD_MS);
    const [good, refused] = [200, 503].map((wanted) => counted.filter(({ status }) => status === wanted));
    const goodput = (good as unknown[]).length / (LOAD_MS - FILLING_MS);
    const refusalMs = median((refused as Answer[]).map(({ waitMs }) => waitMs));
    t.diagnostic(
      `${Math.round((100 * goodput) / peak)}% of ${Math.round(peak * 1_000)}/s, 503 in ${refusalMs.toFixed(1)} ms`,
    );
    assert.ok(goodput >= MIN_GOODPUT * peak);
    assert.ok(refusalMs <= MAX_REFUSAL_MS);
    assert.deepEqual(
      answers.filter(({ status }) => ![200, 503, 504].includes(status)),
      [],
    );
  });
});

/** As many at once as there are `clients`, for {@link PEAK_MS}. */
async function saturate(send: () => Promise<Answer>, clients: number): Promise<Answer[]> {
  const startedMs = performance.now();
  const answers: Answer[] = [];
  const client = async () => {
    while (performance.now() - startedMs < PEAK_MS) answers.push(await send());
  };
  await Promise.all(Array.from({ length: clients }, client));
  return answers;
}

/** So many a millisecond for {@link LOAD_MS}, whatever becomes of those before. `atMs` is when each was answered. */
async function flood(send: () => Promise<Answer>, perMs: number): Promise<(Answer & { atMs: number })[]> {
  const startedMs = performance.now();
  const passedMs = () => performance.now() - startedMs;
  const sent: Promise<Answer & { atMs: number }>[] = [];
  for (; passedMs() < LOAD_MS; await delay(TICK_MS))
    while (sent.length < passedMs() * perMs)
      sent.push(send().then((answer) => ({ ...answer, atMs: passedMs() })));
  return await Promise.all(sent);
}
