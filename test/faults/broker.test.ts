/** The broker dies, stops, and cuts all its connections, under load: nothing confirmed is lost, and all come back. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { eventually } from '../harness/eventually.ts';
import type { RunResult } from './check.ts';
import { cannotInject, type ProcessName, useFaultySystem } from './fault-bench.ts';
import { connectionTroubles } from './run-schedule.ts';
import { outcomesOf, underLoad } from './under-load.ts';

const DEADLINE_MS = 10_000;
/** From the broker's port being open: the longest wait between two attempts (faults.md). */
const BACK_MS = 5_000;
/** For a broker and six processes that all start to work at once on two cores. */
const BUSY_MS = 5_000;
const AT_THE_BROKER: ProcessName[] = ['dispatcher-0', 'dispatcher-1', 'ping-listener-0', 'ping-listener-1'];

describe('when the broker goes under load', { skip: cannotInject }, () => {
  const bench = useFaultySystem({ deadlineMs: DEADLINE_MS });
  const broker = () => bench.system().broker;

  /** Every promise of a run has been asserted already; this is about its bound. */
  function assertBackInTime(t: TestContext, run: RunResult, openMs: number): void {
    const backMs = (run.recoveredMs ?? Number.POSITIVE_INFINITY) - openMs;
    const outcomes = JSON.stringify(outcomesOf(run));
    t.diagnostic(`answers ${backMs} ms after the port opened; ${outcomes}`);
    assert.ok(backMs <= BACK_MS + BUSY_MS, `${backMs} ms`);
  }

  it('by kill -9, nothing confirmed is lost, and clients are answered again 5 s after it listens', async (t) => {
    let openMs = 0;
    // Without this, RabbitMQ 3.10 forgets what was declared within the last second (common/src/broker tests).
    await broker().ctl('eval', '[dets:sync(Table) || Table <- dets:all()].');
    const run = await underLoad(bench, { t, seed: 1, deadlineMs: DEADLINE_MS }, async (inject) => {
      await inject('broker-kill', 'broker', async () => {
        await broker().kill('SIGKILL');
        const opened = portOpen(broker().url);
        await broker().restart();
        openMs = await opened;
      });
    });
    assertBackInTime(t, run, openMs);
    assert.deepEqual(await connectionTroubles(bench.system()), []);
  });

  it('by rabbitmqctl stop_app, they are answered again 5 s after start_app', async (t) => {
    let openMs = 0;
    const run = await underLoad(bench, { t, seed: 2, deadlineMs: DEADLINE_MS }, async (inject) => {
      await inject('broker-kill', 'broker', async () => {
        await broker().ctl('stop_app');
        const opened = portOpen(broker().url);
        await broker().ctl('start_app');
        openMs = await opened;
      });
    });
    assertBackInTime(t, run, openMs);
    assert.deepEqual(await connectionTroubles(bench.system()), []);
  });

  it('by closing all connections, each of them comes back by itself, once', async (t) => {
    const before = connections();
    let closedMs = 0;
    const run = await underLoad(bench, { t, seed: 3, deadlineMs: DEADLINE_MS }, async (inject) => {
      await inject('broker-close-connections', 'broker', () =>
        broker().ctl('close_all_connections', 'a fault'),
      );
      closedMs = Date.now();
    });
    assertBackInTime(t, run, closedMs);
    assert.deepEqual(await connectionTroubles(bench.system()), []);
    // Each of the two that a process has; on a busy machine one may need another try, but it does not go on.
    const again = connections().map((count, index) => count - (before[index] as number));
    assert.ok(
      again.every((count) => count >= 2 && count <= 4),
      `connected again ${again} times`,
    );
  });

  /** How often each process has connected, by its publisher and its subscriber. */
  const connections = () =>
    AT_THE_BROKER.map(
      (name) => bench.service(name).logs.filter(({ msg }) => msg === 'connected to the broker').length,
    );
});

/** Resolves with the time at which the broker's port takes connections; it must be closed when this is called. */
function portOpen(url: string): Promise<number> {
  const { hostname, port } = new URL(url);
  return eventually(
    async () => {
      const socket = connect(Number(port), hostname);
      await once(socket, 'connect').finally(() => socket.destroy());
      return Date.now();
    },
    { timeoutMs: 60_000 },
  );
}
