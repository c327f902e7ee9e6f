import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Service, startService } from '@waybill/test-harness/service.ts';

async function start(t: TestContext, mode: string): Promise<Service> {
  const service = await startService({
    name: 'fixture',
    main: 'packages/common/src/process/shutdown.fixture.ts',
    args: [mode],
  });
  t.after(() => service.kill('SIGKILL'));
  return service;
}

/** What the program says, without the words of the fixture about signals. */
function messages({ logs }: Service): (string | undefined)[] {
  return logs
    .filter(({ msg }) => msg !== 'listening' && msg !== 'signalled')
    .map(({ msg, step }) => (msg === 'shutdown step' ? `${step}:` : msg));
}

const isMessage = (wanted: string) => (line: { msg?: string }) => line.msg === wanted;

describe('on a signal', () => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    test(`${signal} turns readiness off, then runs the steps one after the other, then exits 0`, async (t) => {
      const service = await start(t, 'in order');
      assert.deepEqual(await service.stop(signal), { code: 0, signal: null });
      const steps = ['one:', 'one is done', 'two:', 'two is done'];
      assert.deepEqual(messages(service), ['stopping', 'readiness is off', ...steps]);
      assert.equal(service.logs.find(isMessage('stopping'))?.signal, signal);
    });

  for (const [first, second] of [
    ['SIGTERM', 'SIGINT'],
    ['SIGINT', 'SIGINT'],
  ] as const)
    test(`${second} after ${first} changes nothing: the steps run once, to their end`, async (t) => {
      const service = await start(t, 'waits');
      process.kill(service.pid, first);
      await service.waitForLog((line) => line.step === 'one');
      process.kill(service.pid, second);
      await service.waitForLog(() => service.logs.filter(isMessage('signalled')).length === 2);
      process.kill(service.pid, 'SIGUSR2');
      assert.deepEqual(await service.exited, { code: 0, signal: null });
      assert.deepEqual(messages(service), ['stopping', 'readiness is off', 'one:', 'two:']);
    });

  for (const mode of ['hangs', 'hangs busily'])
    test(`a step that ${mode} is ended at the deadline: exit 1, and the log says so`, async (t) => {
      const service = await start(t, mode);
      assert.deepEqual(await service.stop(), { code: 1, signal: null });
      assert.deepEqual(messages(service), ['stopping', 'readiness is off', 'one:', 'shutdown took too long']);
    });

  test('all goes on as before in the pause after readiness is off, and then the steps run', async (t) => {
    const service = await start(t, 'pauses');
    assert.deepEqual(await service.stop(), { code: 0, signal: null });
    assert.deepEqual(messages(service), ['stopping', 'readiness is off', 'still serving', 'one:']);
  });

  test('a step that hangs past a bound of its own is left, the others still run, and the exit is 0', async (t) => {
    const service = await start(t, 'hangs past its bound');
    assert.deepEqual(await service.stop(), { code: 0, signal: null });
    assert.deepEqual(messages(service).slice(2), [
      'one:',
      'shutdown step left unfinished',
      'two:',
      'two is done',
    ]);
  });

  for (const mode of ['fails at once', 'fails later'])
    test(`a step that ${mode} is logged, the others still run, and the exit is 1`, async (t) => {
      const service = await start(t, mode);
      assert.deepEqual(await service.stop(), { code: 1, signal: null });
      assert.deepEqual(messages(service).slice(2), ['one:', 'shutdown step failed', 'two:']);
      const failure = service.logs.find(isMessage('shutdown step failed'));
      assert.equal(failure?.step, 'one');
      assert.match(JSON.stringify(failure.err), /no luck/);
    });
});

describe('an uncaught error', () => {
  for (const mode of ['throws', 'rejects'])
    test(`of a program that ${mode} is logged once and ends it at once with 1, without a step`, async (t) => {
      const service = await start(t, mode);
      assert.deepEqual(await service.exited, { code: 1, signal: null });
      assert.deepEqual(messages(service), ['uncaught error']);
      assert.match(JSON.stringify(service.logs.find(isMessage('uncaught error'))?.err), /no luck.*stack/);
    });

  test('while stopping ends the process with 1 too', async (t) => {
    const service = await start(t, 'crashes while stopping');
    assert.deepEqual(await service.stop(), { code: 1, signal: null });
    assert.deepEqual(messages(service), ['stopping', 'readiness is off', 'one:', 'uncaught error']);
  });
});
