/**
 * Which package and folder may import which (docs/adr/0012-imports-go-one-way.md), and that each package declares what it
 * uses. Held for what the text of each file says, static or dynamic.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { packagedListeners } from '@waybill/tools/packaged-listeners.ts';

/** What the production code of each package may import besides itself; `bin/plain` is plain JavaScript without packages. */
const PACKAGES: Record<string, readonly string[]> = {
  common: [],
  client: [],
  listener: ['common'],
  'listener/testing': ['common', 'listener', 'embedded-broker'],
  'public-web': ['common', 'mesh'],
  mesh: ['common'],
  dispatcher: ['common'],
  store: ['common'],
  'dataset-generator': ['common'],
  'dev-telemetry': ['common'],
  'embedded-broker': ['common'],
  tools: ['client', 'common', 'listener', 'bin/plain'],
  'test-harness': ['common', 'embedded-broker', 'tools', 'bin/plain'],
  waybill: ['tools', 'bin', 'bin/plain'],
  bin: ['bin/plain'],
  'bin/plain': [],
};

// Those of the listeners.
for (const { name } of packagedListeners) PACKAGES[name] = ['common', 'listener'];

/** What the rooms of common may import besides its root. */
const ROOMS: Record<string, readonly string[]> = {
  root: [],
  event: [],
  credentials: [],
  telemetry: ['event'],
  http: ['event', 'telemetry'],
  'internal-call': ['event', 'telemetry', 'http'],
  grpc: ['telemetry', 'http'],
  broker: ['event', 'telemetry'],
  process: ['telemetry', 'http'],
};

/** Tests, and what they alone use. The contract suite of the broker's ports is one of them. */
const TEST_FILE = /\.(test|fixture)\.\w+$|\/contract(-[a-z-]+)?\.ts$|\/telemetry-fixture\.ts$/;
const IMPORT = /^(?:import|export)\b(?:[^'"`;]*?\bfrom)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm;

type Import = { file: string; specifier: string };

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => /\.(ts|mjs)$/.test(file) && !/^(bench\/peers|packages\/waybill\/templates)\//.test(file));
const imports = files.flatMap(importsOf);

test('packages and folders import only what the rule of imports lets them', () => {
  const inProduction = imports.filter(({ file }) => /^(packages|bin)\//.test(file) && !TEST_FILE.test(file));
  assert.ok(inProduction.length > 500);
  assert.deepEqual(inProduction.map(layerFault).filter(Boolean), []);
});

test('every package declares what it imports, and for production what its production code imports', () => {
  assert.deepEqual(imports.map(declarationFault).filter(Boolean), []);
});

test('an import against the rule is named', () => {
  const faults = [
    ['packages/public-web/src/app.ts', '@waybill/listener/handler.ts'],
    ['packages/dispatcher/src/main.ts', '../../../test/e2e/system.ts'],
    ['packages/listener/src/retry.ts', '@waybill/test-harness/eventually.ts'],
    ['packages/listener/src/retry.ts', './retry.fixture.ts'],
    ['packages/listener/src/retry.ts', './testing/index.ts'],
    ['packages/common/src/errors.ts', './http/tls.ts'],
    ['packages/common/src/http/tls.ts', '../broker/ports.ts'],
    ['bin/req.mjs', 'undici'],
    ['bin/plain/printable.mjs', '../../packages/tools/src/ports.ts'],
  ].map(
    ([file = '', specifier = '']) => layerFault({ file, specifier }) ?? declarationFault({ file, specifier }),
  );
  assert.equal(faults.filter(Boolean).length, faults.length, String(faults));
});

function importsOf(file: string): Import[] {
  const found = readFileSync(file, 'utf8').matchAll(IMPORT);
  return [...found].map(([, named, dynamic]) => ({ file, specifier: String(named ?? dynamic) }));
}

function layerFault({ file, specifier }: Import): string | undefined {
  const target = targetOf(file, specifier);
  if (target === undefined) return undefined;
  const [from, to] = [placeOf(file), placeOf(target)];
  if (TEST_FILE.test(target)) return `${file} is no test and imports ${specifier}`;
  if (from !== to) return PACKAGES[from]?.includes(to) ? undefined : `${file} (${from}) imports ${to}`;
  if (from !== 'common') return undefined;
  const [room, other] = [roomOf(file), roomOf(target)];
  if (room === other || other === 'root' || ROOMS[room]?.includes(other)) return undefined;
  return `${file} (common, ${room}) imports ${other}`;
}

/** The file that is imported, if it is one of the project. */
function targetOf(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return join(dirname(file), specifier);
  const [, name, path] = /^@waybill\/([^/]+)\/(.+)$/.exec(specifier) ?? [];
  return name && `packages/${name}/src/${path}`;
}

/** The package, or the folder where there is none. */
function placeOf(file: string): string {
  if (file.startsWith('bin/plain/')) return 'bin/plain';
  if (/^packages\/listener\/src\/testing(\/|$)/.test(file)) return 'listener/testing';
  const [top = '', name = ''] = file.split('/');
  return top === 'packages' ? name : top;
}

function roomOf(file: string): string {
  const [, room = 'root'] = /^packages\/common\/src\/([^/]+)\//.exec(file) ?? [];
  return room;
}

function declarationFault({ file, specifier }: Import): string | undefined {
  const [name = ''] = /^(@[^/]+\/)?[a-z][^/]*/.exec(specifier) ?? [];
  if (name === '' || name.startsWith('node:')) return undefined;
  if (file.startsWith('bin/')) return `${file} imports ${name}: it must run without packages`;
  const folder = /^packages\/[^/]+/.exec(file)?.[0] ?? '.';
  const { name: own, dependencies = {}, devDependencies = {} } = manifestOf(folder);
  const isProduction = folder !== '.' && !TEST_FILE.test(file);
  const isDeclared = name in dependencies || (!isProduction && name in devDependencies);
  return isDeclared || name === own ? undefined : `${file} imports ${name}, which ${folder} does not declare`;
}

type Manifest = {
  name: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
};

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(`${folder}/package.json`, 'utf8'));
}
