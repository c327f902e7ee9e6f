import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { installedPackages, vendor } from './installed-packages.ts';

describe('where packages come from', () => {
  let project: string;
  beforeEach(async () => {
    project = await mkdtemp(join(tmpdir(), 'waybill-origins-'));
    mkdirSync(join(project, 'node_modules'));
  });
  afterEach(() => rm(project, { recursive: true }));

  /** As npm notes what it has installed. */
  const note = (packages: Record<string, object>) =>
    writeFileSync(join(project, 'node_modules/.package-lock.json'), JSON.stringify({ packages }));
  const read = () => installedPackages(join(project, 'node_modules'));

  it('is a registry, of those that a project names, where npm has noted nothing', () => {
    assert.deepEqual(
      read().map(({ name, tarball }) => [name, tarball]),
      [
        ['@waybill/listener', undefined],
        ['waybill', undefined],
      ],
    );
  });

  it('is a registry where they were resolved there', () => {
    note({ 'node_modules/waybill': { resolved: 'https://registry.example/waybill-1.2.3.tgz' } });
    const [{ spec, tarball } = assert.fail('nothing')] = read();
    assert.match(spec, /^\^\d+\.\d+\.\d+$/);
    assert.equal(tarball, undefined);
  });

  it('is each tarball that was installed, copied into the project', async () => {
    mkdirSync(join(project, 'tarballs'));
    for (const name of ['waybill', 'waybill-common', 'waybill-listener'])
      writeFileSync(join(project, `tarballs/${name}-1.2.3.tgz`), name);
    note({
      'node_modules/waybill': { resolved: 'file:tarballs/waybill-1.2.3.tgz' },
      'node_modules/@waybill/common': { resolved: 'file:tarballs/waybill-common-1.2.3.tgz' },
      'node_modules/@waybill/listener': {
        resolved: 'file:tarballs/waybill-listener-1.2.3.tgz',
        dependencies: { '@waybill/common': '1.2.3', pino: '10.0.0' },
      },
      'node_modules/pino': { resolved: 'https://registry.example/pino-10.0.0.tgz' },
    });
    const origins = read();
    assert.deepEqual(
      origins.map(({ name, spec, isNeededBy }) => [name, spec, isNeededBy]),
      [
        ['waybill', 'file:vendor/waybill-1.2.3.tgz', []],
        ['@waybill/common', 'file:vendor/waybill-common-1.2.3.tgz', ['@waybill/listener']],
        ['@waybill/listener', 'file:vendor/waybill-listener-1.2.3.tgz', []],
      ],
    );
    const folder = join(project, 'orders');
    vendor(origins, folder);
    assert.deepEqual(readdirSync(join(folder, 'vendor')).sort(), [
      'waybill-1.2.3.tgz',
      'waybill-common-1.2.3.tgz',
      'waybill-listener-1.2.3.tgz',
    ]);
  });
});
