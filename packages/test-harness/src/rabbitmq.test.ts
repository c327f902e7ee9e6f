import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import amqp from 'amqplib';
import { eventually } from './eventually.ts';
import { findRabbitmq } from './rabbitmq.ts';
import { freshBroker, rabbitmqMissing, type TestBroker } from './test-broker.ts';

describe('a fresh broker', { skip: rabbitmqMissing }, () => {
  let broker: TestBroker;
  before(async () => {
    broker = await freshBroker();
  });
  after(() => broker.close());

  it('takes AMQP connections and shows what its queues hold', async () => {
    const connection = await amqp.connect(broker.url);
    const channel = await connection.createConfirmChannel();
    await channel.assertQueue('work', { durable: true, arguments: { 'x-queue-type': 'quorum' } });
    channel.sendToQueue('work', Buffer.from('1'), { persistent: true });
    await channel.waitForConfirms();

    await eventually(async () => {
      assert.deepEqual(await broker.queues(), { work: { ready: 1, unacked: 0 } });
    });
    await assert.rejects(broker.emptied({ timeoutMs: 0 }), /work: 1 ready, 0 unacked/);
    await broker.emptied({ prefix: 'other' });

    const message = await channel.get('work');
    assert.ok(message);
    channel.ack(message);
    await broker.emptied();
    await connection.close();
  });
});

describe('findRabbitmq', () => {
  it('takes the folder that TEST_RABBITMQ names, and no other where that has no RabbitMQ', async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'waybill-'));
    const { TEST_RABBITMQ = '' } = process.env;
    t.after(async () => {
      process.env.TEST_RABBITMQ = TEST_RABBITMQ;
      await rm(folder, { recursive: true });
    });
    process.env.TEST_RABBITMQ = folder;
    assert.throws(findRabbitmq, new RegExp(folder));

    for (const script of ['rabbitmq-server', 'rabbitmqctl']) await writeFile(join(folder, script), '');
    assert.equal(findRabbitmq(), folder);
  });
});

describe('a private RabbitMQ', { skip: findRabbitmq() ? false : 'RabbitMQ is not installed' }, () => {
  it('ends, and leaves nothing behind, when its process is killed', async (t) => {
    const owner = spawn(
      process.execPath,
      [fileURLToPath(new URL('rabbitmq-owner.fixture.ts', import.meta.url))],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    t.after(() => owner.kill('SIGKILL'));
    const [line] = await once(owner.stdout, 'data');
    const { pid, folder } = JSON.parse(String(line));
    assert.ok(isRunning(pid) && existsSync(folder));

    owner.kill('SIGKILL');

    await eventually(() => {
      assert.ok(!isRunning(pid));
      assert.ok(!existsSync(folder));
      assert.doesNotMatch(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }), new RegExp(folder));
    });
  });
});

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
