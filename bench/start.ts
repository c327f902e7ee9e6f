/**
 * `npm run bench:start`: how long `npm start` takes until the system answers, and `node --watch` until a listener is there again whose
 * file was saved.
 *
 *     npm run bench:start
 *     npm run bench:start -- --rounds 9 --beside ../before      and, in turn, another state of the project, with its modules
 *     npm run bench:start -- --cold                             with nothing compiled before, as after `npm ci`
 *
 * Uses the ports of `npm start`, so nothing else may.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { toCount } from './options.ts';
import { median } from './statistics.ts';
import { toTable } from './table.ts';
import { type StartTimes, timeStart } from './time-start.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    beside: { type: 'string', multiple: true, default: [] },
    cold: { type: 'boolean', default: false },
  },
});
const rounds = toCount('rounds', values.rounds);
const here = fileURLToPath(new URL('..', import.meta.url));
const folders = [...values.beside.map((folder) => resolve(folder)), here];

const times = new Map<string, StartTimes[]>(folders.map((folder) => [folder, []]));
if (!values.cold) for (const folder of folders) await timeStart(folder, process.env);
for (let round = 0; round < rounds; round += 1)
  for (const folder of folders) times.get(folder)?.push(await timeOnce(folder));

const columns = ['project', 'ready ms', 'CPU ms', 'restart ms'];
console.log(
  toTable(
    columns,
    [...times].map(([folder, measured]) => [folder, ...toCells(measured)]),
  ),
);

async function timeOnce(folder: string): Promise<StartTimes> {
  if (!values.cold) return timeStart(folder, process.env);
  const compiled = await mkdtemp(join(tmpdir(), 'waybill-cold-'));
  try {
    return await timeStart(folder, { ...process.env, NODE_COMPILE_CACHE: compiled });
  } finally {
    await rm(compiled, { recursive: true });
  }
}

function toCells(measured: StartTimes[]): string[] {
  return (['readyMs', 'cpuMs', 'restartMs'] as const).map((name) =>
    Math.round(median(measured.map((each) => each[name]))).toLocaleString('en'),
  );
}
