import assert from 'node:assert/strict';
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, existsSync, mkdtempSync, openSync, rmSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { startOtlpReceiver } from '@waybill/test-harness/otlp-receiver.ts';

/** One that hangs does so for ever. */
const HANGS_MS = 60_000;

async function start(
  t: TestContext,
  stdout: 'pipe' | number,
  env?: Record<string, string>,
): Promise<ChildProcess> {
  const child = fork(new URL('logging.fixture.ts', import.meta.url), {
    execArgv: ['--import', '@waybill/common/telemetry'],
    cwd: import.meta.dirname,
    env: { ...bareEnvironment(), ...env },
    stdio: ['ignore', stdout, 'inherit', 'ipc'],
  });
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'message');
  return child;
}

/** Resolves when the program answers. */
async function tellToLog(child: ChildProcess, lines: number): Promise<void> {
  child.send(lines);
  const signal = AbortSignal.timeout(HANGS_MS);
  assert.deepEqual(await once(child, 'message', { signal }), ['logged', undefined]);
}

async function stop(child: ChildProcess): Promise<unknown> {
  const signal = AbortSignal.timeout(HANGS_MS);
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit', { signal });
  return code;
}

const full = () => openSync('/dev/full', 'w');

test('a process whose stdout is a full disk goes on, and ends when told to', async (t) => {
  const child = await start(t, full());
  for (let i = 0; i < 3; i += 1) await tellToLog(child, 2_000);
  assert.equal(await stop(child), 0);
});

test('a process whose stdout is a full disk still exports its lines, and says so in one of them', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.close());
  const child = await start(t, full(), receiver.env);
  await tellToLog(child, 3);
  await receiver.waitFor(() => receiver.logs().some(({ body }) => body === 'stdout takes no log lines'));
  assert.equal(await stop(child), 0);
  const bodies = receiver.logs().map(({ body }) => body);
  assert.deepEqual(bodies.toSorted(), [
    'stdout takes no log lines',
    'stopping',
    'told to',
    'told to',
    'told to',
  ]);
});

test('what finds no room is counted in a metric', async (t) => {
  const receiver = await startOtlpReceiver();
  t.after(() => receiver.close());
  const child = await start(t, full(), receiver.env);
  await tellToLog(child, 5_000);
  await receiver.waitFor(() => receiver.metricNames().includes('waybill.log.dropped'));
  assert.equal(await stop(child), 0);
});

test('a process whose stdout nobody reads any more goes on, and ends when told to', async (t) => {
  const child = await start(t, 'pipe');
  (child.stdout as Socket).destroy();
  for (let i = 0; i < 3; i += 1) await tellToLog(child, 2_000);
  assert.equal(await stop(child), 0);
});

test('a process whose stdout is not read goes on, and ends when told to', async (t) => {
  const child = await start(t, 'pipe');
  (child.stdout as Socket).pause();
  for (let i = 0; i < 3; i += 1) await tellToLog(child, 2_000);
  assert.equal(await stop(child), 0);
});

/** The end of a pipe to write to, which blocks; its reader takes nothing. */
function stalledPipe(t: TestContext): number {
  const folder = mkdtempSync(join(tmpdir(), 'waybill-'));
  const path = join(folder, 'pipe');
  assert.equal(spawnSync('mkfifo', [path]).status, 0);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const fd = openSync(path, 'w');
  t.after(() => {
    closeSync(fd);
    closeSync(reader);
    rmSync(folder, { recursive: true });
  });
  return fd;
}

test('a process whose stdout is not read goes on when one that shares the pipe has ended', {
  skip: existsSync('/proc/self/fd/1') ? false : 'needs /proc',
}, async (t) => {
  const pipe = stalledPipe(t);
  const first = await start(t, pipe);
  const second = await start(t, pipe);
  assert.equal(await stop(first), 0);
  for (let i = 0; i < 3; i += 1) await tellToLog(second, 2_000);
  assert.equal(await stop(second), 0);
});

/** A terminal of `script` (util-linux), which holds it when its own output is not read, as Ctrl-S does. */
const hasTerminal = spawnSync('script', ['--version']).error === undefined;

test('a process whose terminal is held goes on, and ends when told to', {
  skip: hasTerminal ? false : 'needs the program script',
}, async (t) => {
  const program = `"${process.execPath}" --import @waybill/common/telemetry logging.fixture.ts; echo $? >&4`;
  const terminal = spawn('script', ['-qc', program, '/dev/null'], {
    cwd: import.meta.dirname,
    env: { ...bareEnvironment(), SHELL: '/bin/sh' },
    stdio: ['ignore', 'pipe', 'inherit', 'ipc', 'pipe'],
  });
  t.after(() => terminal.kill('SIGKILL'));
  (terminal.stdout as Socket).pause();
  const [{ pid }] = await once(terminal, 'message');
  for (let i = 0; i < 3; i += 1) await tellToLog(terminal, 2_000);
  process.kill(pid, 'SIGTERM');
  const signal = AbortSignal.timeout(HANGS_MS);
  const [exitCode] = await once(terminal.stdio[4] as Readable, 'data', { signal });
  assert.equal(String(exitCode), '0\n');
});
