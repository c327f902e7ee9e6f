import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { describeListeners, findListeners } from './listeners.ts';

describe('the listeners of waybill dev', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'waybill-listeners-'));
    mkdirSync(join(folder, 'src'));
    for (const file of ['greeting.ts', 'src/main.ts']) writeFileSync(join(folder, file), '');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('are the files that are named', () => {
    assert.deepEqual(findListeners(['greeting.ts'], folder), [join(folder, 'greeting.ts')]);
  });

  it('are "main" of the package.json here, where none is named', () => {
    writeFileSync(join(folder, 'package.json'), '{"main":"src/main.ts"}');
    assert.deepEqual(findListeners([], folder), [join(folder, 'src/main.ts')]);
  });

  it('are asked for where nothing names one', () => {
    assert.throws(() => findListeners([], folder), /give the file of a listener/);
    writeFileSync(join(folder, 'package.json'), '{}');
    assert.throws(() => findListeners([], folder), /give the file of a listener/);
  });

  it('have to be there', () => {
    assert.throws(() => findListeners(['greetng.ts'], folder), /there is no file greetng\.ts/);
  });

  it('are called by their file, or by their project where that says nothing', () => {
    const names = (...paths: string[]) => describeListeners(paths, {}).map(({ name }) => name);
    assert.deepEqual(names('/shop/greeting.ts', '/shop/orders/src/main.ts', '/shop/bills/index.js'), [
      'greeting',
      'orders',
      'bills',
    ]);
    const same = names('/shop/a/greeting.ts', '/shop/b/greeting.ts');
    assert.equal(new Set(same).size, 2);
  });
});
