/** One fault in the middle of a load, and every promise held against what became of it. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { BUSY_SLACK_MS, findViolations, type RunResult } from './check.ts';
import { gatherEvidence, takeDeadLetters } from './evidence.ts';
import type { FaultBench } from './fault-bench.ts';
import type { InjectedFault } from './inject.ts';
import { startLoad } from './load.ts';
import type { Operation } from './operation.ts';
import { drained, recovered } from './run-schedule.ts';
import type { ScheduledFault } from './schedule.ts';

const RATE_PER_S = 100;
/** Pings before the fault, and after the recovery. */
const STEADY = 100;
/** What a dispatcher says of its publisher, and its publisher's batcher of its queue (common/src/batch.ts). */
const SLOW_BROKER =
  /^(the broker does not take events now|events wait too long to be sent|the event had no turn within \d+ ms)$/;
/** So many refusals are one stall of the broker: a second, the first half of which is waited for. */
const STALL_REFUSALS = RATE_PER_S / 2;
const MAX_SLOW_SHARE = 0.05;

/** Carries out one fault, and notes what the checks must know of it. */
export type Inject = (
  kind: ScheduledFault['kind'],
  target: string,
  carryOut: () => Promise<unknown>,
) => Promise<void>;

/**
 * Sends 100 pings a second, lets `fault` happen among them, waits until every public-web answers again and all queues
 * are empty, and asserts every promise of docs/reliability.md; of the 250 ms after a deadline only that they are no 1,000.
 *
 * @param options.seed one for each load of a system: ids are made from it.
 * @param options.deadlineMs as that of the system.
 * @param options.t is told how many operations were {@link isOfSlowBroker}: few, where the fault is not of the broker.
 * @returns what there is to know about the run, without the operations that {@link isOfSlowBroker} and never ran; the times of
 *   the fault are in `injected`.
 */
export async function underLoad(
  bench: FaultBench,
  { t, seed, deadlineMs }: { t: TestContext; seed: number; deadlineMs: number },
  fault: (inject: Inject) => Promise<void>,
): Promise<RunResult> {
  const system = bench.system();
  const injected: InjectedFault[] = [];
  const load = startLoad({ urls: system.urls, ratePerS: RATE_PER_S, seed, deadlineMs, isPatient: true });
  await answered(bench, STEADY);
  await fault(async (kind, target, carryOut) => {
    const entry = { atMs: 0, durationMs: 0, kind, target } as ScheduledFault;
    const noted = { ...entry, startMs: Date.now(), endMs: Number.POSITIVE_INFINITY };
    injected.push(noted);
    await carryOut();
    noted.endMs = Date.now();
  });
  const healedMs = Date.now();
  const recoveredMs = await recovered(system.urls, [2_000, deadlineMs]);
  await answered(bench, STEADY);
  const { operations, maxLagMs } = await load.stop();
  const leftInQueues = await drained(system);
  const evidence = gatherEvidence(system);
  const isSlow = (operation: Operation) => isOfSlowBroker(operation) && !evidence.ran.has(operation.id);
  const run = {
    operations: operations.filter((operation) => !isSlow(operation)),
    injected,
    healedMs,
    recoveredMs,
    maxLagMs,
    leftInQueues,
    deadLetters: await takeDeadLetters(system.broker.url),
    troubles: [...system.processes.values()].flatMap(({ wrongExits }) => wrongExits),
    evidence,
  };
  const isOfBroker = injected.some(({ target }) => target === 'broker');
  const counted = isOfBroker
    ? operations.filter((operation) => isApartFromFaults(operation, run))
    : operations;
  assertFewSlow(t, counted.filter(isSlow).length, counted.length);
  assert.deepEqual(findViolations(run, { slackMs: BUSY_SLACK_MS }), []);
  return run;
}

/** Ended before the first fault, or started after the recovery: a fault of the broker is what it is slow by. */
function isApartFromFaults({ startMs, waitMs }: Operation, { injected, recoveredMs }: RunResult): boolean {
  const faultMs = Math.min(...injected.map((fault) => fault.startMs));
  return startMs + waitMs < faultMs || startMs >= (recoveredMs ?? Number.POSITIVE_INFINITY);
}

/**
 * Asserts that at most a twentieth of the operations, or those of one stall of a second, were refused because the
 * broker was slow.
 */
export function assertFewSlow(t: TestContext, slow: number, total: number): void {
  const found = `${slow} of ${total} pings when the broker was too slow`;
  t.diagnostic(found);
  assert.ok(slow <= Math.max(MAX_SLOW_SHARE * total, STALL_REFUSALS), found);
}

/** Resolves when each public-web has answered its share of `more` further events. */
async function answered(bench: FaultBench, more: number): Promise<void> {
  const webs = (['public-web-0', 'public-web-1'] as const).map(bench.service);
  const counts = () => webs.map(({ logs }) => logs.filter(({ msg }) => msg === 'event answered').length);
  const before = counts();
  await eventually(() => {
    const now = counts();
    assert.ok(now.every((count, index) => count >= (before[index] as number) + more / webs.length));
  });
}

/**
 * Whether its client was told that the broker had confirmed nothing for half a second: that happens on a machine that is
 * busy with other things, and is no fault's doing.
 */
export function isOfSlowBroker({ status, detail }: Pick<Operation, 'status' | 'detail'>): boolean {
  return status === 503 && SLOW_BROKER.test(detail);
}

/** How many operations ended how: `{ answered, refused, 'unknown 504', … }`. */
export function outcomesOf(run: RunResult): Record<string, number> {
  const words = run.operations.map(({ outcome, status }) =>
    outcome === 'answered' ? outcome : `${outcome} ${status}`,
  );
  return Object.fromEntries([...Map.groupBy(words, (word) => word)].map(([word, all]) => [word, all.length]));
}
