import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { freshBroker, type TestBroker } from '../harness/test-broker.ts';
import { grpcAddressOf, type System, startSystem, tcpPortOf } from './system.ts';

const run = promisify(execFile);

describe('a dataset', () => {
  let broker: TestBroker;
  let system: System;
  before(async () => {
    broker = await freshBroker();
    system = await startSystem({
      amqpUrl: broker.url,
      counts: { 'dataset-generator': 1, 'data-dispatch-listener': 2, 'ping-listener': 0 },
    });
  });
  after(async () => {
    await system?.stop();
    await broker.close();
  });

  function receive(...options: string[]) {
    const url = new URL(broker.url);
    url.pathname = '';
    const args = ['bin/dataset-client.mjs', '--client', `c-${randomUUID()}`, '--batches', '334', ...options];
    return run(process.execPath, args, { env: { PATH: process.env.PATH, AMQP_URL: url.href } });
  }

  it('arrives in the queue of each client that was notified over gRPC or HTTP, once, in order', async () => {
    const publicWeb = system.publicWebs[0];
    assert.ok(publicWeb);
    const outcomes = await Promise.all([
      receive('--url', grpcAddressOf(publicWeb)),
      receive('--url', grpcAddressOf(publicWeb)),
      receive('--http', publicWeb.baseUrl),
    ]);
    for (const { stdout } of outcomes) {
      assert.match(stdout, /^data {6}31\.4 MB \(31360000 bytes\)$/m);
      assert.match(stdout, /^repeated {2}0$/m);
      assert.doesNotMatch(stdout, /^others/m);
    }
  });

  it('arrives whole while the dataset-generator restarts', async () => {
    const publicWeb = system.publicWebs[0];
    assert.ok(publicWeb);
    const receiving = receive('--url', grpcAddressOf(publicWeb));
    await system.replaceDatasetGenerator();
    const { stdout } = await receiving;
    assert.match(stdout, /^batches {3}334, in order, the last one flagged$/m);
  });

  it('is streamed by TCP to whoever connects', async () => {
    const ports = system.dataDispatchListeners.map(tcpPortOf);
    const outcomes = await Promise.all(
      ports.map((port) =>
        run(process.execPath, ['bin/tcp-client.mjs', '--port', String(port), '--batches', '334']),
      ),
    );
    for (const { stdout } of outcomes) assert.match(stdout, /^data {6}31\.4 MB \(31360000 bytes\)$/m);
  });
});
