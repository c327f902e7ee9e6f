import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Service } from '@waybill/test-harness/service.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { type Answer, ask, median } from './client.ts';
import { createTiers, type Tiers } from './tiers.ts';

const OVERLOAD = 3;
const WAIT_S = 2;
/** Of a handler that waits, so that the machine is not what is too slow. */
const WORK_MS = 50;
/** How long peak and load are measured, and how long before that each goes on: processes warm up and queues fill. */
const MEASURED_MS = 4_000;
const BEFORE_MS = 3_000;
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

  const work = () => ask(publicWeb, { type: 'behaviours.Work', data: { ms: WORK_MS }, waitS: WAIT_S });

  it('leaves most of their work to answers that are in time, and the rest is refused at once', async (t) => {
    const peak = countOf(await saturate(work, 32), 200);
    const answers = await flood(work, OVERLOAD * (peak / MEASURED_MS));
    const goodput = countOf(answers, 200) / peak;
    const refusalMs = median(answers.filter(({ status }) => status === 503).map(({ waitMs }) => waitMs));
    const percent = Math.round(100 * goodput);
    t.diagnostic(`${percent}% of ${peak} in ${MEASURED_MS} ms, 503 in ${refusalMs.toFixed(1)} ms`);
    assert.ok(goodput >= MIN_GOODPUT);
    assert.ok(refusalMs <= MAX_REFUSAL_MS);
    assert.deepEqual(countOf(answers, 200) + countOf(answers, 503) + countOf(answers, 504), answers.length);
  });
});

function countOf(answers: Answer[], status: number): number {
  return answers.filter((answer) => answer.status === status).length;
}

/** As many at once as there are `clients`. Resolves with what was answered while it was measured. */
async function saturate(send: () => Promise<Answer>, clients: number): Promise<Answer[]> {
  const measured = measure(send);
  const client = async () => {
    while (!measured.isOver()) await measured.send();
  };
  await Promise.all(Array.from({ length: clients }, client));
  return measured.answers;
}

/** So many a millisecond, whatever becomes of those before. Resolves as {@link saturate}. */
async function flood(send: () => Promise<Answer>, perMs: number): Promise<Answer[]> {
  const measured = measure(send);
  const sent: Promise<void>[] = [];
  for (; !measured.isOver(); await delay(TICK_MS))
    while (sent.length < measured.passedMs() * perMs) sent.push(measured.send());
  await Promise.all(sent);
  return measured.answers;
}

function measure(send: () => Promise<Answer>) {
  const startedMs = performance.now();
  const answers: Answer[] = [];
  const passedMs = () => performance.now() - startedMs;
  const isOver = () => passedMs() >= BEFORE_MS + MEASURED_MS;
  return {
    answers,
    passedMs,
    isOver,
    async send() {
      const answer = await send();
      if (passedMs() >= BEFORE_MS && !isOver()) answers.push(answer);
    },
  };
}
