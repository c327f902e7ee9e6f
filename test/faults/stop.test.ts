/** SIGTERM, twice, of processes whose work cannot be finished. rolling.test.ts has those whose work can. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { kill } from 'node:process';
import { describe, it } from 'node:test';
import { SHUTDOWN_DEADLINE_MS } from '@waybill/common/shutdown-bounds.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { rabbitmqMissing } from '@waybill/test-harness/test-broker.ts';
import { ask } from './client.ts';
import { type ProcessName, useFaultySystem } from './fault-bench.ts';
import { recovered } from './run-schedule.ts';

/** Longer than processes may take to stop: an event in its client's hands waits for this long. */
const DEADLINE_MS = 15_000;

/** Accepts whatever it is sent, and never answers. */
const silent = createServer((socket) => socket.on('error', () => {}).resume())
  .listen(0, '127.0.0.1')
  .unref();
await once(silent, 'listening');
const { port: silentPort } = silent.address() as AddressInfo;

describe('processes that are told to stop', { skip: rabbitmqMissing }, () => {
  const bench = useFaultySystem({
    deadlineMs: DEADLINE_MS,
    env: {
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${silentPort}`,
      // Longer than an exit may be held up.
      OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: '30000',
    },
  });
  const { process, service, link } = bench;

  /** Sends SIGTERM twice, and resolves when the process has ended, with how long that took. */
  async function stop(name: ProcessName): Promise<number> {
    const startedMs = performance.now();
    kill(service(name).pid, 'SIGTERM');
    await process(name).terminate();
    assert.deepEqual(await service(name).exited, { code: 0, signal: null });
    return performance.now() - startedMs;
  }

  it('say that they are not ready, and exit 0 in their 10 s although what they wait for never comes', async (t) => {
    bench.freezeListeners();
    // One event waits for its reply and for its confirm, and one for its reply alone.
    await link('web0-dispatcher1').down();
    const parked = ask(service('public-web-1'));
    await eventually(async () => assert.equal((await bench.depth('waybill.ping')).unacked, 1));
    link('dispatcher0-broker').setFault({ drop: 'to-client' });
    const unconfirmed = ask(service('public-web-0'));
    await eventually(async () => assert.equal((await bench.depth('waybill.ping')).unacked, 2));
    link('dispatcher0-broker').setFault({ drop: 'both' });
    await Promise.all([sendHalf('dispatcher-0'), sendHalf('public-web-1')]);

    const stopped = Promise.all([stop('dispatcher-0'), stop('public-web-1')]);
    await service('dispatcher-0').waitForLog(({ msg }) => msg === 'stopping');
    assert.deepEqual(await readinessOf('dispatcher-0'), [503, 'stopping']);

    assert.deepEqual([(await parked).status, (await unconfirmed).status], [504, 504]);
    const tookMs = await stopped;
    t.diagnostic(`dispatcher and public-web took ${tookMs.map((ms) => Math.round(ms)).join(' and ')} ms`);
    assert.ok(tookMs.every((ms) => ms < SHUTDOWN_DEADLINE_MS));

    bench.thawListeners();
    link('dispatcher0-broker').heal();
    await link('web0-dispatcher1').up();
    await Promise.all([process('dispatcher-0').start(), process('public-web-1').start()]);
    assert.ok(await recovered(bench.system().urls), 'answers again');
  });

  it('exit 0 in their 10 s although the way to the broker has gone silent', async (t) => {
    link('listener0-broker').setFault({ drop: 'both' });
    const tookMs = await stop('ping-listener-0');
    t.diagnostic(`ping-listener took ${Math.round(tookMs)} ms`);
    assert.ok(tookMs < SHUTDOWN_DEADLINE_MS);

    link('listener0-broker').heal();
    await process('ping-listener-0').start();
  });

  /** Sends a request whose body never ends, so that the drain takes all its time. */
  async function sendHalf(name: ProcessName): Promise<void> {
    const socket = connect(service(name).port as number, '127.0.0.1').on('error', () => {});
    await once(socket, 'connect');
    socket.write('POST /events HTTP/1.1\r\nhost: test\r\ncontent-type: a/b\r\ncontent-length: 2\r\n\r\nx');
  }

  async function readinessOf(name: ProcessName): Promise<[number, string]> {
    const response = await fetch(`http://127.0.0.1:${service(name).healthPort}/health/ready`);
    return [response.status, ((await response.json()) as { reason: string }).reason];
  }
});
