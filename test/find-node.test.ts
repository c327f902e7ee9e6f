import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { findNode } from '../bin/plain/find-node.mjs';

describe('a Node that is too old', () => {
  it('is told where the dependency is not installed that brings another', async (t) => {
    const modules = await makeModules(t);
    assert.throws(() => findNode({ version: 'v20.20.2', modules }), {
      message: /this is v20\.20\.2: .* "node", .* is not installed: .* NODE_ENV=production or --omit=dev$/,
    });
  });

  it('is told when the install script of that dependency did not run', async (t) => {
    const modules = await makeModules(t, 'package.json');
    // As npm leaves it: a link to what the script would have brought.
    await symlink('../node/bin/node', join(modules, '.bin/node'));
    assert.throws(() => findNode({ version: 'v20.20.2', modules }), {
      message: /the install script of the dependency "node", .* did not run: .* without --ignore-scripts$/,
    });
  });

  it('is replaced by the one that the project brings', async (t) => {
    const modules = await makeModules(t, 'package.json', 'bin/node');
    await symlink('../node/bin/node', join(modules, '.bin/node'));
    assert.equal(findNode({ version: 'v22.1.0', modules }), join(modules, '.bin/node'));
  });
});

describe('a Node that is new enough', () => {
  it('is the one, wherever it is from', async (t) => {
    const modules = await makeModules(t);
    for (const version of ['v24.0.0', 'v26.10.0', 'v100.0.0'])
      assert.equal(findNode({ version, modules }), process.execPath);
  });
});

/** A folder `node_modules` with these files of the package `node`. */
async function makeModules(t: TestContext, ...files: string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'modules-'));
  t.after(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, '.bin'));
  if (files.length > 0) await mkdir(join(folder, 'node/bin'), { recursive: true });
  for (const file of files) await writeFile(join(folder, 'node', file), '');
  return `${folder}/`;
}
