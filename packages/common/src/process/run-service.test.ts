import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Service, startService } from '@waybill/test-harness/service.ts';

const MAIN = 'packages/common/src/process/run-service.fixture.ts';
const program = fileURLToPath(new URL('run-service.fixture.ts', import.meta.url));

/** Exit code, output and error output of a program that starts `how`, and fails. */
async function start(how: string, env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [program, how], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
  });
  const output = Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = await once(child, 'close');
  const [stdout, stderr] = await output;
  return { code, stdout, stderr };
}

describe('a start', () => {
  test('with wrong settings tells them in one message without a stack trace', async () => {
    assert.deepEqual(await start('with wrong settings'), {
      code: 1,
      stdout: '',
      stderr: `invalid settings:\n  A: is missing\n  B: x is not a whole number from 1 to ${Number.MAX_SAFE_INTEGER}\n`,
    });
  });

  test('on a taken port tells it without a stack trace', async (t) => {
    const other = createServer().listen(0, '127.0.0.1');
    t.after(() => other.close());
    await once(other, 'listening');
    const { port } = other.address() as AddressInfo;
    assert.deepEqual(await start('on a taken port', { TAKEN_PORT: String(port) }), {
      code: 1,
      stdout: '',
      stderr: `port ${port} on 127.0.0.1 is taken: stop what uses it, or set another port\n`,
    });
  });

  test('on a port that is not allowed tells it without a stack trace', async () => {
    const { code, stderr } = await start('on a port that is not allowed');
    assert.deepEqual([code, stderr], [1, 'port 80 on 0.0.0.0 is not allowed for this user\n']);
  });

  test('that fails otherwise tells it with its stack trace', async () => {
    for (const [how, message] of [
      ['on a file that is not allowed', /^Error: open EACCES \/data\n {4}at /],
      ['with an AppError', /^AppError: no broker\n {4}at /],
    ] as const) {
      const { code, stderr } = await start(how);
      assert.equal(code, 1);
      assert.match(stderr, message);
    }
  });

  test('that a signal comes into goes on to its end, and then all is drained as ever', async (t) => {
    const child = spawn(process.execPath, [program, 'when it is told to go on'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 60_000,
    });
    t.after(() => child.kill('SIGKILL'));
    const said: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      const { msg, isStopping } = JSON.parse(line);
      said.push(msg);
      if (msg === 'starting') child.kill('SIGTERM');
      if (msg === 'stopping') child.kill('SIGUSR2');
      if (msg === 'draining') assert.equal(isStopping, true);
    }
    const ours = said.filter((msg) => !msg.startsWith('Server listening at'));
    assert.deepEqual(ours, ['starting', 'stopping', 'listening', 'draining']);
    assert.equal(child.exitCode ?? (await once(child, 'exit'))[0], 0);
  });

  test('that rejects with nothing still exits 1', async () => {
    assert.deepEqual(await start('with undefined thrown'), { code: 1, stdout: '', stderr: 'undefined\n' });
  });
});

describe('a service', () => {
  async function run(t: TestContext, how: string, ...args: string[]): Promise<Service> {
    const service = await startService({ name: 'fixture', main: MAIN, args: [how, ...args] });
    t.after(() => service.kill('SIGKILL'));
    return service;
  }

  async function readiness({ healthPort }: Service): Promise<[number, string | undefined]> {
    const response = await fetch(`http://127.0.0.1:${healthPort}/health/ready`);
    return [response.status, ((await response.json()) as { reason?: string }).reason];
  }

  /** What it says from the signal on. */
  function lastWords({ logs }: Service): (string | undefined)[] {
    const messages = logs.map(({ msg }) => msg);
    return messages.slice(messages.indexOf('stopping'));
  }

  test('that listens tells its ports, its health port and its instance, and is ready', async (t) => {
    const service = await run(t, 'well');
    const { port, healthPort, instance } = await service.waitForLog(({ msg }) => msg === 'listening');
    assert.equal(port, 1234);
    assert.ok(Number(healthPort) > 0);
    assert.match(String(instance), /^[0-9a-f-]{36}$/);
    assert.equal((await readiness(service))[0], 200);
  });

  test('asks in its log whether a variable was meant as a setting', async (t) => {
    const service = await startService({
      name: 'fixture',
      main: MAIN,
      args: ['well'],
      env: { LOG_LEVL: 'x' },
    });
    t.after(() => service.kill('SIGKILL'));
    const doubt = 'LOG_LEVL is no setting: did you mean LOG_LEVEL?';
    assert.equal((await service.waitForLog(({ msg }) => msg === doubt)).level, 'warn');
  });

  test('is not ready for as long as it says why', async (t) => {
    const service = await run(t, 'with trouble until SIGUSR2');
    assert.deepEqual(await readiness(service), [503, 'the cache is cold']);
    process.kill(service.pid, 'SIGUSR2');
    await service.ready();
  });

  test('is told to stop before it drains, answers "stopping" until it has, then closes, and exits 0', async (t) => {
    const service = await run(t, 'well');
    const exit = service.stop();
    const { isStopping } = await service.waitForLog(({ msg }) => msg === 'draining');
    assert.equal(isStopping, true);
    assert.deepEqual(await readiness(service), [503, 'stopping']);
    process.kill(service.pid, 'SIGUSR2');
    assert.deepEqual(await exit, { code: 0, signal: null });
    assert.deepEqual(lastWords(service), ['stopping', 'draining', 'closing']);
  });

  test('that cannot drain still closes, and exits 1', async (t) => {
    const service = await run(t, 'that cannot drain');
    assert.deepEqual(await service.stop(), { code: 1, signal: null });
    assert.deepEqual(lastWords(service), ['stopping', 'shutdown step failed', 'closing']);
  });

  test('that cannot close ends all the same, with 0', async (t) => {
    const service = await run(t, 'that cannot close');
    assert.deepEqual(await service.stop(), { code: 0, signal: null });
    assert.deepEqual(lastWords(service), ['stopping', 'shutdown step left unfinished']);
  });

  test('without a health port in its settings opens none', async (t) => {
    const service = await run(t, 'well', 'without-health');
    assert.equal(service.healthPort, undefined);
  });
});
