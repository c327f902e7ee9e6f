/** What the tests of single faults share: one system per file, which ends with all its processes well. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import type { Service } from '@waybill/test-harness/service.ts';
import { type FaultySystem, startFaultySystem } from './faulty-system.ts';
import type { Link } from './link.ts';
import type { ManagedProcess } from './managed-process.ts';
import { drained } from './run-schedule.ts';
import { INSTANCES } from './schedule.ts';

/** A process by its tier and number, as `TARGETS` names it. */
export type ProcessName = `${'public-web' | 'dispatcher' | 'ping-listener'}-${number}`;

export type FaultBench = {
  system(): FaultySystem;
  process(name: ProcessName): ManagedProcess;
  /** The process of that name that runs now. */
  service(name: ProcessName): Service;
  link(name: string): Link;
  /** Stops both listeners where they are (SIGSTOP), so that what comes for them stays unanswered; or lets them go on. */
  freezeListeners(): void;
  thawListeners(): void;
  /** Ready and unacked messages of a queue, up to 200 ms ago. */
  depth(queue: string): Promise<{ ready: number; unacked: number }>;
  /**
   * Resolves when no queue but that of the dead letters holds anything, and {@link depth} says so; rejects after 30 s.
   */
  emptied(): Promise<void>;
};

/**
 * Starts a system before the tests of the calling suite, and ends it after them.
 *
 * @param options.deadlineMs the longest that clients wait.
 * @param options.env more of the environment of every service.
 * @param options.hasOwnBroker whether faults happen to its broker; default: it is on the one of the run.
 */
export function useFaultySystem({
  deadlineMs,
  env,
  hasOwnBroker,
}: {
  deadlineMs: number;
  env?: Record<string, string>;
  hasOwnBroker?: boolean;
}): FaultBench {
  let folder: string;
  let started: FaultySystem | undefined;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'waybill-fault-'));
    started = await startFaultySystem({ folder, deadlineMs, env, hasOwnBroker });
  });
  after(async () => {
    if (started) await end(started);
    await rm(folder, { recursive: true, force: true });
  });

  const system = () => started as FaultySystem;
  const process = (name: ProcessName) => system().processes.get(name) as ManagedProcess;
  const signalListeners = (signal: 'SIGSTOP' | 'SIGCONT') => {
    for (let index = 0; index < INSTANCES; index++) process(`ping-listener-${index}`).service.kill(signal);
  };
  return {
    system,
    process,
    service: (name) => process(name).service,
    link: (name) => system().links.get(name) as Link,
    freezeListeners: () => signalListeners('SIGSTOP'),
    thawListeners: () => signalListeners('SIGCONT'),
    async depth(queue) {
      const queues = await system().broker.queues();
      return queues[queue] ?? { ready: 0, unacked: 0 };
    },
    async emptied() {
      assert.deepEqual(await drained(system()), {});
    },
  };
}

/** Nothing stays frozen or cut, as a test that failed may have left it, or the processes could not end. */
async function end(system: FaultySystem): Promise<void> {
  for (const { service } of system.processes.values()) service.kill('SIGCONT');
  for (const link of system.links.values()) link.heal();
  await system.stop();
  const wrongExits = [...system.processes.values()].flatMap((managed) => managed.wrongExits);
  assert.deepEqual(wrongExits, []);
}
