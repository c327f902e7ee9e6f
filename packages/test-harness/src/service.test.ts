import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bareEnvironment } from './bare-environment.ts';
import { eventually } from './eventually.ts';
import { startService } from './service.ts';

const standIn = { name: 'stand-in', main: 'packages/test-harness/src/service.fixture.ts' };

describe('startService', () => {
  it('starts a process with only the given environment, waits until it is ready, stops it', async () => {
    const service = await startService({ ...standIn, env: { GIVEN: 'yes' } });
    await service.ready();
    const environment = JSON.parse(await (await fetch(service.baseUrl)).text());
    assert.equal(environment.GIVEN, 'yes');
    assert.deepEqual(
      Object.keys(environment).sort(),
      [...Object.keys(bareEnvironment()), 'GIVEN', 'HEALTH_PORT', 'INTERNAL_PORT', 'PORT'].sort(),
    );

    const stopping = service.waitForLog((line) => line.msg === 'stopping');
    assert.deepEqual(await service.stop(), { code: 0, signal: null });
    assert.equal((await stopping).msg, 'stopping');
  });

  it('shows the last log lines of a service that does not start', async () => {
    await assert.rejects(
      startService({ ...standIn, env: { FAIL: '1' } }),
      /exited with code 1.*the stand-in fails/s,
    );
  });

  it('rejects a wait for a log line at its deadline, and when the service is killed', async () => {
    const service = await startService(standIn);
    await assert.rejects(
      service.waitForLog(() => false, 1),
      /no such log line in 1 ms.*listening/s,
    );
    const never = assert.rejects(
      service.waitForLog(() => false),
      /ended by SIGKILL/,
    );
    service.kill('SIGKILL');
    await never;
    assert.deepEqual(await service.exited, { code: null, signal: 'SIGKILL' });
  });

  it('kills the service when the test process is killed', async (t) => {
    const owner = spawn(
      process.execPath,
      [fileURLToPath(new URL('service-owner.fixture.ts', import.meta.url))],
      {
        stdio: ['ignore', 'pipe', 'inherit'],
      },
    );
    t.after(() => owner.kill('SIGKILL'));
    const url = String((await once(owner.stdout, 'data'))[0]).trim();
    assert.equal((await fetch(url)).status, 503);

    owner.kill('SIGKILL');

    await eventually(() => assert.rejects(fetch(url)));
  });
});
