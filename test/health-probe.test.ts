import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { createHealthApp } from '@waybill/common/http/health-app.ts';
import { portOf } from '@waybill/common/http/http-server.ts';
import { createLogger } from '@waybill/common/telemetry/logging.ts';
import { freePort } from '@waybill/test-harness/free-port.ts';

const log = createLogger({ service: 'health-probe-test', level: 'silent' });

/** The exit code of the probe of our images. */
function probe(port: number): Promise<number> {
  return promisify(execFile)('bash', ['bin/health.sh'], { env: { HEALTH_PORT: String(port) } }).then(
    () => 0,
    ({ code }) => code,
  );
}

async function answer(t: TestContext, listener: RequestListener): Promise<number> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

test('the probe of our images exits 0 while the service says that it is ready, and 1 while it does not', async (t) => {
  let reason: string | undefined;
  const app = createHealthApp({ log, readiness: () => reason });
  t.after(() => app.close());
  await app.listen({ host: '127.0.0.1', port: 0 });
  const port = portOf(app) ?? 0;
  assert.equal(await probe(port), 0);
  reason = 'stopping';
  assert.equal(await probe(port), 1);
});

test('the probe exits 1 when nothing listens, or what does is not HTTP or hangs up', async (t) => {
  assert.equal(await probe(await freePort()), 1);
  assert.equal(await probe(await answer(t, ({ socket }) => socket.end('220 ready 200\n'))), 1);
  assert.equal(await probe(await answer(t, ({ socket }) => socket.destroy())), 1);
});
