import { setTimeout as delay } from 'node:timers/promises';
import { cpuUs, rssBytes } from '../process-usage.ts';
import type { BenchProcess } from '../start-process.ts';
import { toTable } from '../table.ts';
import type { Waybill } from '../waybill.ts';
import { askUsage } from './ask-usage.ts';
import { faultsOf, pingAll } from './ping-all.ts';
import { connectAll, createStayingClient, type StayingClient } from './staying-client.ts';
import { type ClientsRun, withStoredWaybill } from './stored-waybill.ts';

/** What one that does nothing may take of public-web. */
const MAX_KB = 40;
/** What may be left of one that has gone; and what it may leave besides when it comes and goes once more. */
const MAX_LEFT_KB = 1;
const MAX_LEFT_AGAIN_KB = 0.3;
/** Connected and gone before, so that all code that is needed is there. */
const WARM_UP = 500;
/** For what is done a moment later: acknowledgements, the first looks. */
const SETTLE_MS = 2_000;
/** Who takes no more of the processors has nothing left to do; found out by so many looks of a second at the most. */
const QUIET_MS_PER_S = 20;
const MAX_LOOKS = 60;

/**
 * WebSockets that do nothing, without a client id and with one: what each takes of public-web's memory, what all of them take of
 * the processors while nothing happens, and what is left of them when they have gone. Resolves with what is against the promise.
 */
export async function measureIdle(run: ClientsRun): Promise<string[]> {
  const rows: Row[] = [];
  for (const hasMailbox of [false, true])
    rows.push(await withStoredWaybill(run, {}, (waybill) => measure(hasMailbox, waybill, run)));
  const cells = rows.map(({ name, figures }) => [
    name,
    ...Object.values(figures).map((value) => value.toFixed(1)),
  ]);
  console.log(toTable([`${run.count} idle`, ...Object.keys(rows[0]?.figures ?? {})], cells));
  return rows.flatMap(({ faults }) => faults);
}

type Row = { name: string; figures: Record<string, number>; faults: string[] };

async function measure(
  hasMailbox: boolean,
  { urls, publicWebs, stores }: Waybill,
  { count, seconds }: ClientsRun,
): Promise<Row> {
  const [url = ''] = urls;
  const [publicWeb, store] = [publicWebs[0], stores[0]] as [BenchProcess, BenchProcess];
  const create = (name: string, length: number) =>
    Array.from({ length }, (_, index) =>
      createStayingClient({ urlOf: () => url, ...(hasMailbox && { client: `${name}-${index}` }) }),
    );
  const comeAndGo = async (clients: readonly StayingClient[]) => {
    await connectAll(clients);
    await pingAll(clients);
    return leave(clients);
  };
  // The store has to be told of each that goes, which takes seconds for thousands.
  const leave = async (clients: readonly StayingClient[]) => {
    for (const client of clients) client.close();
    await quiet([publicWeb, store]);
    return askUsage(publicWeb);
  };
  const before = await comeAndGo(create('first', WARM_UP));

  const clients = create('idle', count);
  await connectAll(clients);
  await pingAll(clients);
  await delay(SETTLE_MS);
  const asItComesBytes = rssBytes(publicWeb.pid);
  const idle = await cpuMsPerS([publicWeb, store], seconds);
  const during = await askUsage(publicWeb);
  const lost = clients.filter((client) => client.connectedTo() !== url || client.awayMs.length > 0).length;
  const faults = clients.flatMap(faultsOf);

  const after = await leave(clients);
  const afterAgain = await comeAndGo(create('idle', count));
  const kB = (bytes: number) => bytes / count / 1024;
  const figures = {
    'kB each': kB(during.rssBytes - before.rssBytes),
    'before garbage is collected': kB(asItComesBytes - before.rssBytes),
    heap: kB(during.heapBytes - before.heapBytes),
    'heap left after': kB(after.heapBytes - before.heapBytes),
    'and once more': kB(afterAgain.heapBytes - after.heapBytes),
    'public-web CPU ms/s': idle[0] ?? 0,
    'store CPU ms/s': idle[1] ?? 0,
  };
  const name = hasMailbox ? 'with a mailbox' : 'without a client id';
  if (lost > 0) faults.push(`${name}: ${lost} of ${count} connections were lost`);
  if (figures['kB each'] > MAX_KB) faults.push(`${name}: more than ${MAX_KB} kB each`);
  if (figures['heap left after'] > MAX_LEFT_KB)
    faults.push(`${name}: more than ${MAX_LEFT_KB} kB left of each`);
  if (figures['and once more'] > MAX_LEFT_AGAIN_KB)
    faults.push(`${name}: more than ${MAX_LEFT_AGAIN_KB} kB left of each that has come once more`);
  return { name, figures, faults };
}

/** Resolves when processes have nothing left to do. */
async function quiet(processes: readonly BenchProcess[]): Promise<void> {
  for (let looks = 0; looks < MAX_LOOKS; looks += 1) {
    const used = await cpuMsPerS(processes, 1);
    if (used.every((msPerS) => msPerS < QUIET_MS_PER_S)) return;
  }
  throw new Error(`processes go on working for ${MAX_LOOKS} s after all clients have gone`);
}

async function cpuMsPerS(processes: readonly BenchProcess[], seconds: number): Promise<number[]> {
  const before = processes.map(({ pid }) => cpuUs(pid));
  await delay(seconds * 1_000);
  return processes.map(({ pid }, index) => (cpuUs(pid) - (before[index] ?? 0)) / 1_000 / seconds);
}
