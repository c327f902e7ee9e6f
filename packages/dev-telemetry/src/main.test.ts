import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { startService } from '@waybill/test-harness/service.ts';

describe('dev-telemetry', () => {
  it('says that it is for development, listens on loopback only, and exits 0 on SIGTERM', async (t) => {
    const collector = await startService({ name: 'dev-telemetry', env: { HOST: '0.0.0.0' } });
    t.after(() => collector.kill('SIGKILL'));
    await collector.ready();
    assert.ok(collector.logs.some(({ msg }) => msg?.startsWith('for development only')));
    // All of 127.0.0.0/8 is this machine: a server on all addresses would answer here.
    await assert.rejects(fetch(`http://127.0.0.2:${collector.port}/health/live`));
    assert.deepEqual(await collector.stop(), { code: 0, signal: null });
  });
});
