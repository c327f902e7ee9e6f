import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { GENERATED_TYPES, generateTypes } from './generate-types.ts';

test('the generated types are those of the files in proto/', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'proto-types-'));
  t.after(() => rmSync(folder, { recursive: true }));
  generateTypes(folder);
  const generated = filesOf(folder);
  assert.ok(generated.size > 0);
  assert.deepEqual(filesOf(GENERATED_TYPES), generated, 'run npm run proto');
});

/** What is in the files below `folder`, by their paths in it. */
function filesOf(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  const files = names.filter((name) => statSync(join(folder, name)).isFile());
  return new Map(files.map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}
