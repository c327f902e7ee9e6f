import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

/** What every listener has. */
const SCRIPT = `
  import { createRequire } from 'node:module';
  import { pino } from 'pino';
  import { createHealthApp } from '@waybill/common/http/health-app.ts';
  import { jsonSchema } from '@waybill/listener';
  const app = createHealthApp({ log: pino({ level: 'silent' }), readiness: () => undefined });
  await app.ready();
  const loaded = () => Object.keys(createRequire(import.meta.url).cache);
  const compilers = () => loaded().filter((path) => /ajv/.test(path)).length;
  const before = compilers();
  jsonSchema({ type: 'string' });
  console.log(JSON.stringify([loaded().length > 50, before, compilers() > 50]));`;

test('a listener loads what compiles JSON Schemas with the first of its own, and not for its health port', async () => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    cwd: import.meta.dirname,
  });
  assert.deepEqual(JSON.parse(stdout), [true, 0, true]);
});
