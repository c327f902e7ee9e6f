import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { startLoad } from './load.ts';
import { type System, startSystem } from './system.ts';

const WINDOWS = 5;
/**
 * Of the rate before, at least. It is no more exact because another test file runs beside this one, and may have begun
 * in between; a caller that waited for the frozen instance would wait a second for each call.
 */
const MIN_SHARE = 0.4;

describe('two of each tier, and a third public-web', () => {
  let broker: TestBroker;
  let system: System;
  const urls = () => system.publicWebs.map(({ baseUrl }) => baseUrl);

  before(async () => {
    broker = await freshBroker();
    system = await startSystem({
      amqpUrl: broker.url,
      counts: { 'public-web': 3, dispatcher: 2, 'ping-listener': 2 },
    });
  });
  after(async () => {
    await system?.stop();
    await broker.close();
  });

  test('answer 10,000 pings, each once, and leave nothing in the broker', async () => {
    const load = startLoad({ urls: urls().slice(0, 2), concurrency: 128, total: 10_000 });

    assert.deepEqual(await load.done, { answered: 10_000, failures: [] });
    assert.deepEqual(repliesNobodyWaitedFor(system), []);
    await broker.emptied();
  });

  test('go on answering while each dispatcher in turn is stopped and replaced', async () => {
    const load = startLoad({ urls: urls(), concurrency: 32 });
    for (const index of [0, 1]) {
      await answers(load.answered, 500);
      await system.replaceDispatcher(index);
      // As in a rolling deploy: on to the next when the new one has been found, half a second later at the most.
      const { port } = system.dispatchers[index] ?? {};
      for (const { waitForLog } of system.publicWebs)
        await waitForLog(
          ({ msg, dispatcher }) =>
            msg === 'dispatcher accepts events again' && String(dispatcher).endsWith(`:${port}`),
        );
    }
    await answers(load.answered, 500);

    const { failures } = await load.stop();
    assert.deepEqual(failures, []);
    await broker.emptied();
  });

  test('answer at full rate while a third public-web is frozen under load', async () => {
    const [first, second, third] = system.publicWebs;
    assert.ok(first && second && third);
    const load = startLoad({ urls: [first.baseUrl, second.baseUrl], concurrency: 64 });
    const loadOnThird = startLoad({ urls: [third.baseUrl], concurrency: 32 });
    await answers(load.answered, 1_000);
    const before = await medianRate(load.answered);

    third.kill('SIGSTOP');
    const during = await medianRate(load.answered);
    third.kill('SIGCONT');

    const { failures } = await load.stop();
    await loadOnThird.stop();
    assert.deepEqual(failures, []);
    assert.ok(during > before * MIN_SHARE, `${during}/s while frozen, ${before}/s before`);
    await broker.emptied();
  });
});

/** A reply that finds nobody is one too many, or one too late. */
function repliesNobodyWaitedFor({ publicWebs }: System): unknown[] {
  return publicWebs.flatMap(({ logs }) => logs.filter(({ msg }) => msg === 'replies nobody waits for'));
}

/** Resolves when `more` further answers have come. */
function answers(answered: () => number, more: number): Promise<void> {
  const from = answered();
  return eventually(() => assert.ok(answered() >= from + more));
}

/** The middle one of a few rates, so that a moment in which the machine did other things does not count. */
async function medianRate(answered: () => number): Promise<number> {
  const rates: number[] = [];
  while (rates.length < WINDOWS) rates.push(await rate(answered, 600));
  return rates.sort((one, other) => one - other)[(WINDOWS - 1) / 2] as number;
}

/** Answers per second, over the time the next `count` take. */
async function rate(answered: () => number, count: number): Promise<number> {
  const startedMs = performance.now();
  const from = answered();
  await answers(answered, count);
  return Math.round(((answered() - from) * 1000) / (performance.now() - startedMs));
}
