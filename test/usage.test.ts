import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { test } from 'node:test';

/** Those that take names and no options, of which `--help` could be one. */
for (const name of ['make-api-key', 'make-sealing-key', 'make-secrets', 'store-backup'])
  test(`bin/${name}.mjs that is asked for help says how it is used in a line, and makes nothing`, (t) => {
    const cwd = mkdtempSync(join(tmpdir(), 'waybill-usage-'));
    t.after(() => rmSync(cwd, { recursive: true }));
    const { status, stdout, stderr } = spawnSync(process.execPath, [resolve(`bin/${name}.mjs`), '--help'], {
      cwd,
      encoding: 'utf8',
    });
    assert.match(stderr, /^usage: /);
    assert.doesNotMatch(stderr, / {4}at /);
    assert.deepEqual([status, stdout, readdirSync(cwd)], [1, '', []]);
  });
