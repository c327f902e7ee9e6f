/** Two short schedules of `npm run test:faults`, always the same: one of pings alone, and one with streams. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { cannotStartRabbitmq } from '@waybill/test-harness/test-broker.ts';
import { findViolations, summarize } from './check.ts';
import { summarizeStreams } from './check-streams.ts';
import { describeFaults, describeViolations } from './report.ts';
import { runSchedule } from './run-schedule.ts';
import { makeSchedule } from './schedule.ts';

const SECONDS = 15;
const RATE_PER_S = 100;
const DEADLINE_MS = 10_000;
/** What a machine that is busy with other things may miss; these are printed. */
const BOUNDS_ON_TIME = [
  'nobody waits past the deadline',
  'every answer after the recovery is 200',
  'without a fault for 7 s every answer is 200',
];

for (const { seed, hasStreams } of [
  { seed: 204, hasStreams: false },
  { seed: 225, hasStreams: true },
])
  it(`whatever fails, nothing is lost, answered twice, wrongly or late told, or left behind, ${hasStreams ? 'with' : 'without'} streams`, {
    skip: cannotStartRabbitmq,
  }, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'waybill-seeded-'));
    t.after(() => rm(folder, { recursive: true }));
    const schedule = makeSchedule({ seed, seconds: SECONDS, hasStreams });
    const run = await runSchedule({
      ...{ schedule, seed, hasStreams, folder },
      ...{ ratePerS: RATE_PER_S, deadlineMs: DEADLINE_MS },
    });
    const { slow = [], broken = [] } = Object.groupBy(findViolations(run), ({ promise }) =>
      BOUNDS_ON_TIME.includes(promise) ? 'slow' : 'broken',
    );
    t.diagnostic(JSON.stringify({ ...summarize(run), ...summarizeStreams(run) }));
    if (slow.length > 0) t.diagnostic(describeViolations(slow));
    assert.equal(broken.length, 0, `${describeViolations(broken)}\n${describeFaults(run.injected)}`);
    // It was a run: some were answered, and handlers ran for no fewer; some streams came.
    assert.ok(summarize(run).answered > RATE_PER_S);
    if (hasStreams) assert.ok(Number(summarizeStreams(run).whole) > 0);
  });
