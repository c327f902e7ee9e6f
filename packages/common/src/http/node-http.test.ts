import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

/** What most of a tier is loaded by. */
const ENTRIES = ['public-web/src/ways-in/http/open-http.ts', 'listener/src/run-listener.ts'];

for (const entry of ENTRIES)
  test(`what ${entry} needs has Node load no undici of its own`, async () => {
    const url = new URL(`../../../${entry}`, import.meta.url);
    const script = `await import(${JSON.stringify(url.href)}); process.stdout.write(process.moduleLoadList.join('\\n'))`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      cwd: fileURLToPath(new URL('../../../..', import.meta.url)),
    });
    const loaded = stdout.split('\n');
    assert.ok(loaded.includes('NativeModule http'));
    assert.deepEqual(
      loaded.filter((name) => name.includes('undici')),
      [],
    );
  });
