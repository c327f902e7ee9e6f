import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { parseTypeDescriptions } from '@waybill/common/event/type-descriptions.ts';

const LISTENER = 'test/described-listener.fixture.ts';
const run = (...args: string[]) =>
  spawnSync(process.execPath, ['bin/describe-types.mjs', ...args], { encoding: 'utf8' });

describe('bin/describe-types.mjs', () => {
  it('prints what the setting TYPE_DESCRIPTIONS takes, and says what it cannot describe', () => {
    const { stdout, stderr, status } = run(LISTENER);
    assert.equal(status, 0, stderr);
    const types = parseTypeDescriptions(stdout);
    assert.deepEqual(Object.keys(types), ['Tree.Walk', 'Tree.Cut', 'Tree.See']);
    assert.deepEqual(types['Tree.Walk']?.data?.type, 'object');
    assert.deepEqual([types['Tree.Cut'], types['Tree.See']], [{}, {}]);
    assert.match(stderr, /^Tree\.Cut is described without its data: .*valibot/);
  });

  it('prints types for clients, which TypeScript takes', () => {
    const { stdout, status } = run('--types', LISTENER);
    assert.equal(status, 0);
    assert.match(stdout, /export interface EventData/);
    assert.match(stdout, /"Tree\.Walk": TreeWalk/);
    assert.match(stdout, /left\?: TreeWalk/);
    assert.match(stdout, /"Tree\.See": unknown/);
  });

  it('names what is wrong with a file, and prints nothing', () => {
    for (const [args, reason] of [
      [[], /name the modules/],
      [['test/imports.test.ts.not'], /cannot be imported/],
      [['packages/listener/src/schema.ts'], /exports no handlers/],
      [['--wrong'], /see --help/],
    ] as [string[], RegExp][]) {
      const { stdout, stderr, status } = run(...args);
      assert.deepEqual([stdout, status], ['', 1]);
      assert.match(stderr, reason);
    }
  });
});
