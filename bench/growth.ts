/**
 * `npm run bench:growth`: how what Waybill takes for one request grows with what is asked of it, on a RabbitMQ of its
 * own. docs/performance.md says how to read it.
 *
 *     npm run bench:growth                                  everything, some minutes
 *     npm run bench:growth -- --only parked,payload         some of it
 *     npm run bench:growth -- --seconds 20 --out folder     longer, and the result elsewhere than bench/results
 *
 * Exits 1 when an answer is an error. Refusals (503) are none: what cannot be answered in time is to be refused.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { growthOfLoad, type LoadStep } from './growth-of-load.ts';
import { describeMachine } from './machine.ts';
import { toCount } from './options.ts';
import { growthOfParked } from './parked-memory.ts';
import { startBroker } from './start-broker.ts';
import { toTable } from './table.ts';

const PADDED = JSON.stringify({ type: 'PingRequest', data: { sentAt: 1, padding: '@' } });
const LOADS: Record<string, LoadStep[]> = {
  connections: [1, 4, 16, 64, 256, 1024, 4096].map((connections) => ({ step: connections, connections })),
  payload: [100, 1_000, 10_000, 100_000, 200_000].map((paddingBytes) => ({
    ...{ step: paddingBytes, connections: 16, body: PADDED, paddingBytes },
  })),
  'listener-ms': [0, 1, 10, 100].map((listenerMs) => ({ step: listenerMs, connections: 256, listenerMs })),
  instances: [1, 2, 4].map((instances) => ({ step: instances, connections: 256, instances })),
};
const PARKED = [100, 1_000, 10_000];

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: [...Object.keys(LOADS), 'parked'].join() },
    seconds: { type: 'string', default: '8' },
    out: { type: 'string', default: 'bench/results' },
  },
});
const seconds = toCount('seconds', values.seconds);
const names = values.only.split(',');
for (const name of names)
  if (name !== 'parked' && !LOADS[name])
    throw new Error(`--only: no ${name} among ${Object.keys(LOADS)},parked`);

const machine = await describeMachine();
const broker = await startBroker();
const tables: Record<string, Record<string, number>[]> = {};
for (const name of names) {
  const options = { broker, seconds };
  tables[name] =
    name === 'parked'
      ? await growthOfParked({ ...options, counts: PARKED })
      : await growthOfLoad({ ...options, steps: LOADS[name] ?? [] });
  print(name, tables[name]);
}
await mkdir(values.out, { recursive: true });
const file = join(values.out, 'growth.json');
const json = { date: new Date().toISOString(), machine, seconds, tables };
await writeFile(file, `${JSON.stringify(json, undefined, 2)}\n`);
console.log(`\nwritten: ${file}`);
await broker.stop();

const faulty = names.filter((name) => tables[name]?.some(({ errors }) => errors !== 0));
if (faulty.length > 0) console.error(`waybill: errors, growing ${faulty.join(', ')}`);
process.exit(faulty.length > 0 ? 1 : 0);

function print(name: string, rows: Record<string, number>[]): void {
  const [, ...columns] = Object.keys(rows[0] ?? {});
  const cells = rows.map((row) =>
    Object.values(row).map((value) => Number(value.toFixed(1)).toLocaleString('en')),
  );
  console.log(`\n${toTable([name, ...columns], cells)}`);
}
