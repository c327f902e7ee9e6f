import assert from 'node:assert/strict';
import { it } from 'node:test';
import { runServices } from './run-services.ts';

it('a service that chooses its health port, and another one when it starts again, is found at the last', async () => {
  const lines = [4_711, 4_712].map((healthPort) => JSON.stringify({ msg: 'listening', healthPort }));
  const says = `${lines.map((line) => `console.log('${line}');`).join('')} setInterval(() => {}, 1000)`;
  const { promise, resolve } = Promise.withResolvers<void>();
  const found: string[] = [];
  const fixed = { name: 'fixed', args: ['-e', says], env: {}, readyUrl: 'http://127.0.0.1:1/health/ready' };
  const services = runServices({
    stages: [[fixed, { name: 'greeting', args: ['-e', says], env: {} }]],
    onLine() {},
    onHealthPort(name, readyUrl) {
      found.push(`${name} ${readyUrl}`);
      if (found.length === 2) resolve();
    },
  });
  await promise;
  await services.stop();
  assert.deepEqual(found, [
    'greeting http://127.0.0.1:4711/health/ready',
    'greeting http://127.0.0.1:4712/health/ready',
  ]);
});
