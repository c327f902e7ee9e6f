import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bareEnvironment } from '@waybill/test-harness/bare-environment.ts';
import { startService } from '@waybill/test-harness/service.ts';
import { connect } from 'amqplib';

const program = fileURLToPath(new URL('main.ts', import.meta.url));

describe('the embedded broker as a process', () => {
  it('says where it listens and what it is for, and exits 0 on SIGTERM, telling its clients', async () => {
    const service = await startService({ name: 'embedded-broker' });
    await service.waitForLog(({ msg }) => /in memory, for development and tests only/.test(String(msg)));
    const connection = await connect(`amqp://guest:guest@127.0.0.1:${service.port}`);
    connection.on('error', () => {});
    const closed = once(connection, 'close').catch(([error]) => [error]);

    assert.deepEqual(await service.stop(), { code: 0, signal: null });
    assert.ok(await closed);
  });

  for (const { env, says } of [
    {
      env: { AMQP_PORT: 'high' },
      says: /^AMQP_PORT is "high": set a port number from 0 \(any free one\) to 65535\n$/,
    },
    { env: { PORT: '65536' }, says: /^PORT is "65536": set a port number/ },
  ])
    it(`says in one line what is wrong with ${JSON.stringify(env)}`, async () => {
      const child = spawn(process.execPath, [program], { env: { ...bareEnvironment(), ...env } });
      let output = '';
      child.stderr.on('data', (chunk) => (output += chunk));
      const [code] = await once(child, 'close');
      assert.equal(code, 1);
      assert.match(output, says);
    });

  it('says in one line that its port is taken', async () => {
    const first = await startService({ name: 'embedded-broker' });
    const env = { ...bareEnvironment(), AMQP_PORT: String(first.port) };
    const child = spawn(process.execPath, [program], { env });
    let output = '';
    child.stderr.on('data', (chunk) => (output += chunk));
    const [code] = await once(child, 'close');
    assert.equal(code, 1);
    assert.equal(output, `port ${first.port} is taken: stop what uses it, or set another with AMQP_PORT\n`);
    await first.stop();
  });
});
