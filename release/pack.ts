/**
 * `npm run pack`: makes the tarballs that can be installed anywhere, in `tarballs/` or the folder that is given.
 *
 * In the repository Node runs the TypeScript as it stands; inside of `node_modules` it refuses to. So what is packed is
 * built here, in a folder of its own, and nothing built ever stands beside the sources. A package keeps its exports: each
 * `./src/x.ts` becomes `./dist/x.js` with its types, and imports by name are spelled the same in either place.
 */
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);

/** The first release of Node 22 that runs a listener in TypeScript without an option. */
const NODE = '>=22.18';
/** What only this repository's own tests use. */
const UNPACKED = ['test-harness'];
const TEST_FILE = /[.-](test|fixture)\.ts$/;
/** What lies beside `packages/`, and comes along into those packages that list it in `files`. */
const SHARED = /^(bin|proto)\b/;

type Manifest = {
  name: string;
  files?: string[];
  exports: Record<string, string | null>;
  bin?: Record<string, string>;
  private?: boolean;
  devDependencies?: Record<string, string>;
};

/**
 * Builds and packs every package.
 *
 * @param into the folder of the tarballs; is made if need be.
 * @returns the path of each tarball.
 * @throws what the compiler or npm prints.
 */
export async function packPackages(into: string): Promise<string[]> {
  const work = await mkdtemp(join(tmpdir(), 'waybill-pack-'));
  try {
    const built = join(work, 'built');
    await compile(built);
    const stages = packedPackages().map((name) => stage(name, built, join(work, name)));
    mkdirSync(into, { recursive: true });
    const { stdout } = await run('npm', [
      'pack',
      '--json',
      '--ignore-scripts',
      '--pack-destination',
      into,
      ...stages,
    ]);
    return namesOf(stdout).map((name) => resolve(into, name));
  } finally {
    await rm(work, { recursive: true });
  }
}

/** The folders in `packages/` of what is packed. */
export function packedPackages(): string[] {
  const names = globSync('packages/*/package.json', { cwd: root }).map((path) => path.split('/')[1] ?? '');
  return names.filter((name) => !UNPACKED.includes(name)).sort();
}

async function compile(into: string) {
  const tsc = join(root, 'node_modules/typescript/bin/tsc');
  await run(process.execPath, [tsc, '-p', join(root, 'release'), '--outDir', into]).catch((error) => {
    throw new Error(`the packages do not compile:\n${error.stdout}`);
  });
}

/** Lays out one package as it is published, and returns its folder. */
function stage(name: string, built: string, folder: string): string {
  const source = join(root, 'packages', name);
  const manifest: Manifest = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8'));
  const { files = [] } = manifest;
  cpSync(join(built, 'packages', name, 'src'), join(folder, 'dist'), { recursive: true });
  // For the source maps.
  cpSync(join(source, 'src'), join(folder, 'src'), {
    recursive: true,
    filter: (path) => !TEST_FILE.test(path),
  });
  for (const extra of files) {
    cpSync(join(SHARED.test(extra) ? root : source, extra), join(folder, extra), { recursive: true });
    for (const path of globSync(`${extra}/**/*.d.mts`, { cwd: built }))
      copyFileSync(join(built, path), join(folder, path));
  }
  for (const path of globSync('dist/**/*.*', { cwd: folder })) relocate(folder, path);
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'));
  const readme = join(source, 'README.md');
  if (existsSync(readme)) copyFileSync(readme, join(folder, 'README.md'));
  writeFileSync(join(folder, 'package.json'), JSON.stringify(published(manifest), null, 2));
  return folder;
}

/** Paths to what came along lose the two folders between, and maps name the sources that are packed. */
function relocate(folder: string, path: string) {
  const file = join(folder, path);
  if (path.endsWith('.map')) {
    const map = JSON.parse(readFileSync(file, 'utf8'));
    const source = path.replace(/^dist/, 'src').replace(/(\.d)?\.[jt]s\.map$/, '.ts');
    writeFileSync(file, JSON.stringify({ ...map, sources: [relative(dirname(path), source)] }));
  } else if (path.endsWith('.ts') || path.endsWith('.js')) {
    const text = readFileSync(file, 'utf8');
    const moved = text.replaceAll(/\.\.\/\.\.\/(?=(?:bin|proto)\/)/g, '');
    if (moved !== text) writeFileSync(file, moved);
  }
}

function published({ private: _, devDependencies: __, exports, bin, files = [], ...manifest }: Manifest) {
  return {
    ...manifest,
    engines: { node: NODE },
    exports: Object.fromEntries(
      Object.entries(exports).map(([name, target]) => [name, target && toBuilt(target)]),
    ),
    ...(bin && {
      bin: Object.fromEntries(Object.entries(bin).map(([name, path]) => [name, toBuilt(path).default])),
    }),
    files: ['dist', 'src', ...files],
  };
}

function toBuilt(target: string) {
  const path = target.replace(/^\.\/src\//, './dist/').replace(/\.ts$/, '');
  return { types: `${path}.d.ts`, default: `${path}.js` };
}

/** npm 11 names the tarballs in a list, npm 12 by package. */
function namesOf(json: string): string[] {
  return Object.values<{ filename: string }>(JSON.parse(json)).map(({ filename }) => filename);
}

if (import.meta.main) {
  const tarballs = await packPackages(resolve(process.argv[2] ?? join(root, 'tarballs')));
  for (const path of tarballs) console.log(relative(process.cwd(), path));
}
