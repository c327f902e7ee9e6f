/** Carries out a schedule on a running system. */
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Fault } from '@waybill/test-harness/tcp-proxy.ts';
import type { FaultySystem } from './faulty-system.ts';
import { injectIntoTopology, type TopologyFaultResult } from './inject-topology.ts';
import {
  type BrokerFault,
  DATABASE_FAULT,
  type LinkFault,
  type ProcessFault,
  type ScheduledFault,
} from './schedule.ts';

/** A fault as it really was. Times since the epoch. */
export type InjectedFault = ScheduledFault & TopologyFaultResult & { startMs: number; endMs: number };

/** RabbitMQ's own default. */
const USUAL_WATERMARK = '0.4';

const LINK_FAULTS: Record<Exclude<LinkFault, 'reset'>, Fault> = {
  'drop-to-server': { drop: 'to-server' },
  'drop-to-client': { drop: 'to-client' },
  'drop-both': { drop: 'both' },
  delay: { delayMs: 100 },
  slice: { sliceBytes: 1 },
  throttle: { bytesPerS: 10_000 },
};

/** Resolves when all faults have been injected and healed; they are in `injected`, the first to start first. */
export async function injectAll(
  schedule: readonly ScheduledFault[],
  system: FaultySystem,
  injected: InjectedFault[],
): Promise<void> {
  const startedMs = performance.now();
  const lastOf = new Map<string, Promise<void>>();
  for (const fault of schedule) {
    const run = async (before: Promise<void> | undefined): Promise<void> => {
      await delay(Math.max(0, startedMs + fault.atMs - performance.now()));
      await before;
      await inject(fault, system, injected);
    };
    lastOf.set(fault.target, run(lastOf.get(fault.target)));
  }
  await Promise.all(lastOf.values());
}

async function inject(fault: ScheduledFault, system: FaultySystem, injected: InjectedFault[]): Promise<void> {
  const entry: InjectedFault = { ...fault, startMs: Date.now(), endMs: Number.POSITIVE_INFINITY };
  injected.push(entry);
  if ('which' in fault)
    Object.assign(entry, await injectIntoTopology({ ...fault, broker: system.broker.own() }));
  else if (fault.kind === DATABASE_FAULT) await system.database?.lose(fault.durationMs);
  else if (fault.target === 'broker')
    await injectIntoBroker(fault.kind as BrokerFault, fault.durationMs, system);
  else if (system.processes.has(fault.target))
    await injectIntoProcess(fault.kind as ProcessFault, fault, system);
  else await injectIntoLink(fault.kind as LinkFault, fault, system);
  entry.endMs = Date.now();
}

type Where = { target: string; durationMs: number };

async function injectIntoProcess(
  kind: ProcessFault,
  { target, durationMs }: Where,
  { processes }: FaultySystem,
): Promise<void> {
  const managed = processes.get(target);
  if (!managed) throw new Error(`there is no process ${target}`);
  if (kind === 'freeze') {
    const { service } = managed;
    service.kill('SIGSTOP');
    await delay(durationMs);
    service.kill('SIGCONT');
    return;
  }
  if (kind === 'terminate') await managed.terminate();
  else {
    await managed.kill();
    await delay(durationMs);
  }
  await managed.start();
}

async function injectIntoLink(
  kind: LinkFault,
  { target, durationMs }: Where,
  { links }: FaultySystem,
): Promise<void> {
  const link = links.get(target);
  if (!link) throw new Error(`there is no link ${target}`);
  if (kind === 'reset') return link.reset();
  link.setFault(LINK_FAULTS[kind]);
  await delay(durationMs);
  link.heal();
}

async function injectIntoBroker(kind: BrokerFault, durationMs: number, system: FaultySystem): Promise<void> {
  const broker = system.broker.own();
  if (kind === 'broker-close-connections') return void (await broker.ctl('close_all_connections', 'a fault'));
  if (kind === 'broker-kill') {
    await broker.kill('SIGKILL');
    await delay(durationMs);
    return broker.restart();
  }
  await broker.ctl('set_vm_memory_high_watermark', '0');
  await delay(durationMs);
  await eventually(() => broker.ctl('set_vm_memory_high_watermark', USUAL_WATERMARK), { timeoutMs: 20_000 });
}
