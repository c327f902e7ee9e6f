/** The broker dies, stops, and cuts all its connections, under load: nothing confirmed is lost, and all come back. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { cannotStartRabbitmq } from '@waybill/test-harness/test-broker.ts';
import { type ProcessName, useFaultySystem } from './fault-bench.ts';
import { connectionTroubles } from './run-schedule.ts';
import { type Inject, outcomesOf, underLoad } from './under-load.ts';

const DEADLINE_MS = 10_000;
/** From the broker's port being open: the longest wait between two attempts (docs/operations.md, A broker outage from outside). */
const BACK_MS = 5_000;
const AT_THE_BROKER: ProcessName[] = ['dispatcher-0', 'dispatcher-1', 'ping-listener-0', 'ping-listener-1'];

describe('when the broker goes under load', { skip: cannotStartRabbitmq }, () => {
  const bench = useFaultySystem({ deadlineMs: DEADLINE_MS, hasOwnBroker: true });
  const broker = () => bench.system().broker.own();

  /**
   * Every promise is asserted of each run under `fault`, and of its bound, which other work of the machine can only
   * miss, that one of two runs keeps it.
   *
   * @param fault resolves with the time at which the port opened.
   */
  async function assertBackInTime(
    t: TestContext,
    seeds: [number, number],
    fault: (inject: Inject) => Promise<number>,
  ): Promise<void> {
    const backMs: number[] = [];
    for (const seed of seeds) {
      let openMs = 0;
      const run = await underLoad(bench, { t, seed, deadlineMs: DEADLINE_MS }, async (inject) => {
        openMs = await fault(inject);
      });
      assert.deepEqual(await connectionTroubles(bench.system()), []);
      backMs.push((run.recoveredMs ?? Number.POSITIVE_INFINITY) - openMs);
      t.diagnostic(`answers ${backMs.at(-1)} ms after the port opened; ${JSON.stringify(outcomesOf(run))}`);
      if (Math.min(...backMs) <= BACK_MS) return;
    }
    assert.fail(`${backMs.join(' and ')} ms`);
  }

  it('by kill -9, nothing confirmed is lost, and clients are answered again 5 s after it listens', async (t) => {
    // Without this, RabbitMQ 3.10 forgets what was declared within the last second (common/src/broker tests).
    await broker().ctl('eval', '[dets:sync(Table) || Table <- dets:all()].');
    await assertBackInTime(t, [1, 11], async (inject) => {
      let opened: Promise<number> | undefined;
      await inject('broker-kill', 'broker', async () => {
        await broker().kill('SIGKILL');
        opened = portOpen(broker().url);
        await broker().restart();
      });
      return opened as Promise<number>;
    });
  });

  it('by rabbitmqctl stop_app, they are answered again 5 s after start_app', async (t) => {
    await assertBackInTime(t, [2, 12], async (inject) => {
      let opened: Promise<number> | undefined;
      await inject('broker-kill', 'broker', async () => {
        await broker().ctl('stop_app');
        opened = portOpen(broker().url);
        await broker().ctl('start_app');
      });
      return opened as Promise<number>;
    });
  });

  it('by closing all connections, each of them comes back by itself, once', async (t) => {
    let before: number[] = [];
    await assertBackInTime(t, [3, 13], async (inject) => {
      before = connections();
      await inject('broker-close-connections', 'broker', () =>
        broker().ctl('close_all_connections', 'a fault'),
      );
      return Date.now();
    });
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
