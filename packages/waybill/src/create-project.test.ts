import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { createProject } from './create-project.ts';

describe('waybill new', () => {
  let into: string;
  beforeEach(async () => {
    into = await mkdtemp(join(tmpdir(), 'waybill-new-'));
  });
  afterEach(() => rm(into, { recursive: true }));

  for (const language of ['typescript', 'javascript'] as const)
    it(`makes a project in ${language}, which is filled in throughout`, () => {
      createProject({ name: 'orders', language, into });
      const files = readdirSync(join(into, 'orders'), { recursive: true, withFileTypes: true }).filter(
        (file) => file.isFile(),
      );
      const names = files.map(({ name }) => name);
      for (const name of ['.gitignore', '.dockerignore', '.env', 'Dockerfile', 'README.md', 'package.json'])
        assert.ok(names.includes(name), name);
      for (const { parentPath, name } of files)
        assert.doesNotMatch(readFileSync(join(parentPath, name), 'utf8'), /\{\{/, name);
      const { name, main } = JSON.parse(readFileSync(join(into, 'orders/package.json'), 'utf8'));
      assert.equal(name, 'orders');
      assert.ok(existsSync(join(into, 'orders', main)));
    });

  it('gives each project secrets of its own, which neither git nor an image takes', () => {
    const secretsOf = (name: string) => {
      createProject({ name, language: 'typescript', into });
      const read = (file: string) => readFileSync(join(into, name, file), 'utf8');
      for (const list of ['.gitignore', '.dockerignore']) assert.match(read(list), /^\.env$/m);
      return [...read('.env').matchAll(/=([\w-]{43})$/gm)].map(([, secret]) => secret);
    };
    const secrets = [...secretsOf('one'), ...secretsOf('two')];
    assert.equal(new Set(secrets).size, 6);
  });

  for (const name of ['Orders', 'my_orders', '../orders', 'replies', '-x', 'x'.repeat(65)])
    it(`refuses the name ${name.slice(0, 20)}, which no service can have`, () => {
      assert.throws(() => createProject({ name, language: 'typescript', into }), /cannot be called/);
      assert.deepEqual(readdirSync(into), []);
    });

  it('leaves a folder alone that is there', () => {
    mkdirSync(join(into, 'orders'));
    assert.throws(() => createProject({ name: 'orders', language: 'typescript', into }), /there is a folder/);
    assert.deepEqual(readdirSync(join(into, 'orders')), []);
  });
});
