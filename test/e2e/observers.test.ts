import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { LogLine } from '@waybill/test-harness/collect-log.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { toBroker } from '@waybill/tools/broker-connection.ts';
import { collectStatus } from '@waybill/tools/collect-status.ts';
import { startLoad } from './load.ts';
import { type System, startSystem } from './system.ts';

/** `TEST_OBSERVED_PINGS=10000` is what an operator may try. */
const PINGS = Number(process.env.TEST_OBSERVED_PINGS ?? 400);
/** For a machine under load. */
const SEEN_MS = 120_000;

describe('pings that are observed', () => {
  let broker: TestBroker;
  let system: System;
  const listeners: Service[] = [];

  async function observe(way: string): Promise<Service> {
    const listener = await startService({
      name: `observing-${way}`,
      main: 'test/e2e/observing-listener.ts',
      args: [way],
      env: { AMQP_URL: broker.url },
    });
    listeners.push(listener);
    await listener.ready();
    return listener;
  }

  before(async () => {
    broker = await freshBroker();
    system = await startSystem({ amqpUrl: broker.url });
  });
  after(async () => {
    for (const listener of listeners) listener.kill('SIGKILL');
    await system?.stop();
    await broker.close();
  });

  const ping = (total: number) =>
    startLoad({ urls: system.publicWebs.map(({ baseUrl }) => baseUrl), concurrency: 32, total }).done;

  test('are answered as if they were not, though observers fail, hang, crash or are not there', async () => {
    const [, , crashing, seeing] = await Promise.all(['fail', 'hang', 'crash', 'see'].map(observe));
    const isSeen = () => seeing?.logs.some(({ msg }) => msg === 'seen');
    // A dispatcher takes a type for observed 2 s later.
    await eventually(
      async () => {
        await ping(1);
        assert.ok(isSeen(), 'nothing is observed');
      },
      { timeoutMs: SEEN_MS },
    );
    const processes = [...system.pingListeners, ...listeners.filter((listener) => listener !== crashing)];
    const { types } = await collectStatus({
      healthUrls: processes.map(({ healthPort }) => `http://127.0.0.1:${healthPort}/health/ready`),
      broker: toBroker(broker.url),
    });
    assert.deepEqual(types, [
      {
        type: 'PingRequest',
        answeredBy: ['ping'],
        observedBy: ['observing-fail', 'observing-hang', 'observing-see'],
      },
    ]);
    await seeing?.stop();

    assert.deepEqual(await ping(PINGS), { answered: PINGS, failures: [] });

    assert.deepEqual(await crashing?.exited, { code: null, signal: 'SIGKILL' });
    const back = await observe('see');
    const seen = () => new Set(back.logs.filter(({ msg }) => msg === 'seen').map(({ event_id }) => event_id));
    await eventually(() => assert.ok(seen().size >= PINGS, `${seen().size} seen`), { timeoutMs: SEEN_MS });
  });

  test('are answered by one service: of another one that answers them as well, both are warned by name', async () => {
    const other = await observe('answer');
    const isWarning = ({ msg, event_type }: LogLine) =>
      msg === 'two services answer one type' && event_type === 'PingRequest';
    for (const listener of [other, ...system.pingListeners]) {
      const { level, services } = await listener.waitForLog(isWarning, SEEN_MS);
      assert.deepEqual([level, services], ['warn', ['observing-answer', 'ping']]);
    }
  });
});
