/**
 * `npm run test:faults`: the whole system under load and under faults that a seed decides; see docs/reliability.md.
 *
 *     npm run test:faults -- --seed 7 --seconds 30      one run
 *     npm run test:faults -- --runs 5                   five, with seeds from a random one on
 *     npm run test:faults -- --seed 7 --keep            keeps the logs of a run that passed, too
 *     npm run test:faults -- --seed 7 --streams         with clients that are streamed datasets, and what that needs
 *     npm run test:faults -- --seed 7 --topology        and what is declared at the broker is deleted and changed
 *     npm run test:faults -- --seed 7 --clients sqlite  with clients that stay, and their store at SQLite or postgresql
 *     npm run test:faults -- --seed 7 --only kill,reset leaves out the faults of other kinds, to find the one to blame
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findViolations, summarize } from './check.ts';
import { summarizeClients } from './check-clients.ts';
import { summarizeKeys } from './check-keys.ts';
import { summarizeStreams } from './check-streams.ts';
import { DATABASES } from './faulty-database.ts';
import { describeFaults, describeViolations, keepEvidence } from './report.ts';
import { runSchedule } from './run-schedule.ts';
import { DATABASE_FAULT, FAULT_KINDS, makeSchedule, TOPOLOGY_FAULTS } from './schedule.ts';

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
    seconds: { type: 'string', default: '30' },
    runs: { type: 'string', default: '1' },
    rate: { type: 'string', default: '200' },
    'deadline-ms': { type: 'string', default: '10000' },
    streams: { type: 'boolean', default: false },
    clients: { type: 'string' },
    topology: { type: 'boolean', default: false },
    only: { type: 'string', default: '' },
    keep: { type: 'boolean', default: false },
  },
});
const [seed, seconds, runs, ratePerS, deadlineMs] = [
  values.seed,
  values.seconds,
  values.runs,
  values.rate,
  values['deadline-ms'],
].map(Number) as [number, number, number, number, number];
if (![seed, seconds, runs, ratePerS, deadlineMs].every(Number.isFinite))
  throw new Error('seed, seconds, runs, rate and deadline-ms are numbers');

const only = values.only.split(',').filter(Boolean);
const kinds: readonly string[] = [...FAULT_KINDS, DATABASE_FAULT, ...TOPOLOGY_FAULTS];
if (only.some((kind) => !kinds.includes(kind))) throw new Error(`--only takes ${kinds.join(', ')}`);
const clientsAt = DATABASES.find((database) => database === values.clients);
if (clientsAt !== values.clients) throw new Error(`--clients takes ${DATABASES.join(' or ')}`);

const rows: Record<string, unknown>[] = [];
for (let run = 0; run < runs; run++) rows.push(await runOne(seed + run));
console.log(toTable(rows));
const failed = rows.filter(({ verdict }) => verdict !== 'pass').map((row) => row.seed);
if (failed.length > 0) console.log(`failed: seed ${failed.join(', ')} (--seconds ${seconds})`);
process.exit(failed.length > 0 ? 1 : 0);

async function runOne(runSeed: number): Promise<Record<string, unknown>> {
  console.log(`seed ${runSeed}: ${seconds} s at ${ratePerS} pings/s`);
  const folder = await mkdtemp(join(tmpdir(), `waybill-faults-${runSeed}-`));
  const { streams: hasStreams, topology: hasTopology } = values;
  const hasClients = clientsAt !== undefined;
  const schedule = makeSchedule({ seed: runSeed, seconds, hasStreams, hasTopology, hasClients }).filter(
    ({ kind }) => only.length === 0 || only.includes(kind),
  );
  const options = { seed: runSeed, ratePerS, deadlineMs, hasStreams, clientsAt, folder };
  const run = await runSchedule({ schedule, ...options });
  const violations = findViolations(run);
  const figures = {
    ...summarize(run),
    ...summarizeStreams(run),
    ...summarizeClients(run),
    ...summarizeKeys(run),
  };
  if (violations.length > 0) {
    console.log(`seed ${runSeed} FAILED\n${describeViolations(violations)}`);
    console.log(`its faults:\n${describeFaults(run.injected)}`);
  }
  if (violations.length > 0 || values.keep) {
    await keepEvidence(run, violations, folder);
    console.log(`logs and operations: ${folder}`);
  } else await rm(folder, { recursive: true });
  const verdict = violations.length === 0 ? 'pass' : 'FAIL';
  return { seed: runSeed, ...figures, verdict };
}

function toTable(all: Record<string, unknown>[]): string {
  const columns = Object.keys(all[0] ?? {});
  const line = (cells: unknown[]) => `| ${cells.join(' | ')} |`;
  return [line(columns), line(columns.map(() => '--:')), ...all.map((row) => line(Object.values(row)))].join(
    '\n',
  );
}
