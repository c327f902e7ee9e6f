import assert from 'node:assert/strict';
import { cpSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setVersion } from '../release/version.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const manifests = ['package.json', ...globSync('packages/*/package.json', { cwd: root })];
const date = '2027-02-03';

describe('npm run release', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'waybill-release-'));
    for (const path of [...manifests, 'package-lock.json'])
      cpSync(join(root, path), join(folder, path), { recursive: true });
    writeFileSync(
      join(folder, 'CHANGELOG.md'),
      '# Changelog\n\n## Unreleased\n\n- a thing\n\n## 0.0.1 (2026-01-01)\n',
    );
  });
  afterEach(() => rm(folder, { recursive: true }));
  const read = (path: string) => readFileSync(join(folder, path), 'utf8');

  it('gives every package the version, also where others name it', () => {
    setVersion({ version: '7.8.9', folder, date });
    for (const path of manifests) {
      const { version, dependencies, devDependencies } = JSON.parse(read(path));
      assert.equal(version, '7.8.9', path);
      for (const [name, wanted] of Object.entries({ ...dependencies, ...devDependencies }))
        if (name.startsWith('@waybill/')) assert.equal(wanted, '7.8.9', `${path}: ${name}`);
    }
    const { packages, version } = JSON.parse(read('package-lock.json'));
    assert.equal(version, '7.8.9');
    for (const path of manifests)
      assert.equal(packages[dirname(path).replace(/^\.$/, '')].version, '7.8.9', path);
  });

  it('changes nothing else in a manifest', () => {
    const own = readFileSync(join(root, 'packages/common/package.json'), 'utf8');
    const { version } = JSON.parse(own);
    setVersion({ version: '7.8.9', folder, date });
    assert.equal(read('packages/common/package.json').replaceAll('7.8.9', version), own);
  });

  it('closes what is unreleased under the version and the day', () => {
    setVersion({ version: '7.8.9', folder, date });
    assert.equal(
      read('CHANGELOG.md'),
      '# Changelog\n\n## Unreleased\n\n## 7.8.9 (2027-02-03)\n\n- a thing\n\n## 0.0.1 (2026-01-01)\n',
    );
  });

  for (const [what, version, changelog] of [
    ['no version', 'latest', '## Unreleased\n\n- a thing\n'],
    ['a version that is out', '0.0.1', '## Unreleased\n\n- a thing\n\n## 0.0.1 (2026-01-01)\n'],
    ['nothing to tell', '7.8.9', '## Unreleased\n\n## 0.0.1 (2026-01-01)\n\n- a thing\n'],
  ] as const)
    it(`refuses ${what}, and writes nothing`, () => {
      writeFileSync(join(folder, 'CHANGELOG.md'), changelog);
      assert.throws(() => setVersion({ version, folder, date }), /version|Unreleased/);
      assert.equal(read('CHANGELOG.md'), changelog);
      assert.equal(read('package.json'), readFileSync(join(root, 'package.json'), 'utf8'));
    });
});
