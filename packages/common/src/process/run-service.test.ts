import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const program = fileURLToPath(new URL('run-service.fixture.ts', import.meta.url));

/** Exit code, output and error output of a program that starts `how`. */
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

test('a start that goes well is left alone', async () => {
  assert.deepEqual(await start('well'), { code: 0, stdout: 'started\n', stderr: '' });
});

test('wrong settings are told in one message without a stack trace', async () => {
  assert.deepEqual(await start('with wrong settings'), {
    code: 1,
    stdout: '',
    stderr: `invalid settings:\n  A: is missing\n  B: x is not a whole number from 1 to ${Number.MAX_SAFE_INTEGER}\n`,
  });
});

test('a taken port is told without a stack trace', async (t) => {
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

test('a port that is not allowed is told without a stack trace', async () => {
  const { code, stderr } = await start('on a port that is not allowed');
  assert.deepEqual([code, stderr], [1, 'port 80 on 0.0.0.0 is not allowed for this user\n']);
});

test('every other error is told with its stack trace', async () => {
  for (const [how, message] of [
    ['on a file that is not allowed', /^Error: open EACCES \/data\n {4}at /],
    ['with an AppError', /^AppError: no broker\n {4}at /],
  ] as const) {
    const { code, stderr } = await start(how);
    assert.equal(code, 1);
    assert.match(stderr, message);
  }
});

test('a start that rejects with nothing still exits 1', async () => {
  assert.deepEqual(await start('with undefined thrown'), { code: 1, stdout: '', stderr: 'undefined\n' });
});
