import { setTimeout as delay } from 'node:timers/promises';
import { cpuUs, writtenBytes } from '../process-usage.ts';
import type { BenchProcess } from '../start-process.ts';
import { median, quantile } from '../statistics.ts';
import { toTable } from '../table.ts';
import { askUsage } from './ask-usage.ts';
import { faultsOf, pingAll } from './ping-all.ts';
import { connectAll, createStayingClient, type StayingClient } from './staying-client.ts';
import { type ClientsRun, withStoredWaybill } from './stored-waybill.ts';

/** Within which all clients are to be back. */
const MAX_BACK_MS = 10_000;
/** How long they are waited for. */
const BACK_MS = 60_000;
/** Of looks whether all are back. */
const LOOK_MS = 20;

/**
 * A reconnect storm: all clients, each with a mailbox, lose their connection at once, and come back as `packages/client` does: to
 * the same public-web after a cut, to another one when the first was killed. Resolves with what is against the promise.
 */
export function measureStorm(run: ClientsRun): Promise<string[]> {
  return withStoredWaybill(run, { instances: 2 }, async ({ urls, publicWebs, dispatchers, stores }) => {
    const [first = '', second = ''] = urls;
    const [killed, standby] = publicWebs as [BenchProcess, BenchProcess];
    let url = first;
    const clients = Array.from({ length: run.count }, (_, index) =>
      createStayingClient({ client: `storm-${index}`, urlOf: () => url }),
    );
    await connectAll(clients);
    await pingAll(clients);
    const cut = await measure(clients, [killed, ...stores, ...dispatchers], () => {
      for (const client of clients) client.cut();
    });
    const kill = await measure(clients, [standby, ...stores, ...dispatchers], () => {
      url = second;
      void killed.kill();
    });
    print({ cut, killed: kill });
    for (const client of clients) client.close();
    return [...clients.flatMap(faultsOf), ...faultsIn('cut', cut), ...faultsIn('killed', kill)];
  });
}

type Storm = {
  missing: number;
  awayMs: number[];
  failures: string[];
  figures: Record<string, number>;
};

/** What `injure` does to clients, until all are back, and each has been answered again. */
async function measure(
  clients: readonly StayingClient[],
  [publicWeb, store, ...others]: BenchProcess[],
  injure: () => void,
): Promise<Storm> {
  const processes = [publicWeb, store, ...others] as BenchProcess[];
  await Promise.all(processes.map(askUsage));
  const before = clients.map(({ awayMs, failures }) => [awayMs.length, failures.length] as const);
  const cpuBefore = processes.map(({ pid }) => cpuUs(pid));
  const writtenBefore = writtenBytes((store as BenchProcess).pid);
  injure();
  const isBack = ({ awayMs }: StayingClient, index: number) => awayMs.length > (before[index]?.[0] ?? 0);
  const untilMs = performance.now() + BACK_MS;
  while (!clients.every(isBack) && performance.now() < untilMs) await delay(LOOK_MS);
  const cpuMs = processes.map(({ pid }, index) => (cpuUs(pid) - (cpuBefore[index] ?? 0)) / 1_000);
  const written = writtenBytes((store as BenchProcess).pid) - writtenBefore;
  const [webUsage, storeUsage] = await Promise.all(processes.slice(0, 2).map(askUsage));
  await pingAll(clients);
  return {
    missing: clients.filter((client, index) => !isBack(client, index)).length,
    awayMs: clients.flatMap(({ awayMs }, index) => awayMs.slice(before[index]?.[0])),
    failures: clients.flatMap(({ failures }, index) => failures.slice(before[index]?.[1])),
    figures: {
      'public-web CPU ms': cpuMs[0] ?? 0,
      'store CPU ms': cpuMs[1] ?? 0,
      'public-web late ms': webUsage?.loopDelayMs ?? 0,
      'store late ms': storeUsage?.loopDelayMs ?? 0,
      'store writes MB': written / 1024 ** 2,
    },
  };
}

function print(storms: Record<string, Storm>): void {
  const columns = ['away ms', '99%', 'all', ...Object.keys(Object.values(storms)[0]?.figures ?? {})];
  const rows = Object.entries(storms).map(([name, { awayMs, figures }]) =>
    [median(awayMs), quantile(awayMs, 0.99), Math.max(...awayMs), ...Object.values(figures)]
      .map((value) => value.toFixed(0))
      .toSpliced(0, 0, name),
  );
  console.log(toTable(['storm', ...columns], rows));
  for (const [name, { failures }] of Object.entries(storms))
    for (const [reason, { length }] of Object.entries(Object.groupBy(failures, (each) => each)) as [
      string,
      string[],
    ][])
      console.log(`${name}: ${length} tries failed: ${reason}`);
}

function faultsIn(name: string, { missing, awayMs }: Storm): string[] {
  const late = awayMs.filter((ms) => ms > MAX_BACK_MS).length + missing;
  return late > 0 ? [`${name}: ${late} clients were not back within ${MAX_BACK_MS} ms`] : [];
}
