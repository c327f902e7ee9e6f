/**
 * `npm run release -- 0.2.0`: gives every package that version, and closes the part `Unreleased` of `CHANGELOG.md` under it,
 * with today's date. Commits and publishes nothing.
 *
 * The packages have one version: they are tested together, and each names the others exactly.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runProgram, UserError } from '../bin/plain/user-error.mjs';

const VERSION = /^\d+\.\d+\.\d+(-[\w.]+)?$/;
const OPEN = /^## Unreleased\n/m;

/** @throws UserError before anything is written */
export function setVersion({
  version,
  folder,
  date,
}: {
  version: string;
  folder: string;
  date: string;
}): void {
  if (!VERSION.test(version)) throw new UserError(`a version is 1.2.3 or 1.2.3-rc.1, and not ${version}`);
  const changelog = read(folder, 'CHANGELOG.md');
  if (changelog.includes(`## ${version} `))
    throw new UserError(`CHANGELOG.md has a version ${version} already`);
  if (!/^## Unreleased\n+(?!## )\S/m.test(changelog))
    throw new UserError('CHANGELOG.md has nothing under "## Unreleased": say there what is new');
  const manifests = ['package.json', ...globSync('packages/*/package.json', { cwd: folder })];
  for (const path of manifests)
    write(folder, path, withVersion(JSON.parse(read(folder, path)) as Manifest, version));
  const lock = JSON.parse(read(folder, 'package-lock.json'));
  const isOurs = ([path]: [string, unknown]) => path === '' || /^packages\/[^/]+$/.test(path);
  for (const [path, entry] of Object.entries<Manifest>(lock.packages).filter(isOurs))
    lock.packages[path] = withVersion(entry, version);
  write(folder, 'package-lock.json', { ...lock, version });
  const closed = changelog.replace(OPEN, `## Unreleased\n\n## ${version} (${date})\n`);
  writeFileSync(join(folder, 'CHANGELOG.md'), closed);
}

type Manifest = { version: string } & Record<
  'dependencies' | 'devDependencies',
  Record<string, string> | undefined
>;

function withVersion(manifest: Manifest, version: string): Manifest {
  const changed = { ...manifest, version };
  for (const kind of ['dependencies', 'devDependencies'] as const)
    for (const name of Object.keys(changed[kind] ?? {}))
      if (isOurs(name)) changed[kind] = { ...changed[kind], [name]: version };
  return changed;
}

const isOurs = (name: string) => name === 'waybill' || name.startsWith('@waybill/');
const read = (folder: string, path: string) => readFileSync(join(folder, path), 'utf8');
const write = (folder: string, path: string, content: object) =>
  writeFileSync(join(folder, path), `${JSON.stringify(content, null, 2)}\n`);

if (import.meta.main)
  await runProgram(async () => {
    const [version = '', ...rest] = process.argv.slice(2);
    if (version === '' || rest.length > 0) throw new UserError('usage: npm run release -- VERSION');
    const folder = fileURLToPath(new URL('..', import.meta.url));
    setVersion({ version, folder, date: new Date().toISOString().slice(0, 10) });
    console.log(
      `all packages are ${version} now; see what "git diff" says, commit it and tag it v${version}`,
    );
  });
