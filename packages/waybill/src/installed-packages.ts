/**
 * Where the packages that a new project needs are to be had: where this one was. From a registry, that is their version. From
 * tarballs, as `npm run pack` makes them, it is those tarballs: they go along into the project, all of them, as no
 * registry has what they need of each other.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One of Waybill's packages. */
export type Origin = {
  name: string;
  /** What stands for it in `dependencies`. */
  spec: string;
  /** Its tarball, if that is where it came from. */
  tarball: string | undefined;
  /** The packages of Waybill that need it, in one or more steps. */
  isNeededBy: string[];
};

type Entry = { version?: string; resolved?: string; dependencies?: Record<string, string> };

const own = fileURLToPath(new URL('../', import.meta.url));
const { version } = JSON.parse(readFileSync(join(own, 'package.json'), 'utf8')) as { version: string };

/** Waybill's packages as npm has installed them around this one; without such, those that a project names. */
export function installedPackages(modules: string = join(own, '..')): Origin[] {
  const entries = readInstalled(modules);
  const names = Object.keys(entries);
  if (!names.includes('waybill')) return ['@waybill/listener', 'waybill'].map(published);
  const needs = (name: string): string[] =>
    Object.keys(entries[name]?.dependencies ?? {}).filter((other) => names.includes(other));
  const reach = (name: string, seen = new Set<string>()): Set<string> => {
    for (const other of needs(name)) if (!seen.has(other)) reach(other, seen.add(other));
    return seen;
  };
  return names.map((name) => {
    const { resolved = '' } = entries[name] ?? {};
    const tarball = /^file:.*\.tgz$/.test(resolved) ? resolve(modules, '..', resolved.slice(5)) : undefined;
    return {
      ...published(name),
      ...(tarball && { spec: `file:vendor/${basename(tarball)}` }),
      tarball,
      isNeededBy: names.filter((other) => reach(other).has(name)),
    };
  });
}

/** Copies the tarballs that the packages came from, if they did, into `vendor/` of a project. */
export function vendor(origins: Origin[], folder: string): void {
  for (const { tarball } of origins) {
    if (!tarball || !existsSync(tarball)) continue;
    mkdirSync(join(folder, 'vendor'), { recursive: true });
    copyFileSync(tarball, join(folder, 'vendor', basename(tarball)));
  }
}

function published(name: string): Origin {
  return { name, spec: `^${version}`, tarball: undefined, isNeededBy: [] };
}

/** By name, as npm notes it in `node_modules`. */
function readInstalled(modules: string): Record<string, Entry> {
  const path = join(modules, '.package-lock.json');
  if (!existsSync(path)) return {};
  const { packages } = JSON.parse(readFileSync(path, 'utf8')) as { packages: Record<string, Entry> };
  const ours = Object.entries(packages).filter(([place]) =>
    /^node_modules\/(waybill|@waybill\/[^/]+)$/.test(place),
  );
  return Object.fromEntries(ours.map(([place, entry]) => [place.slice('node_modules/'.length), entry]));
}
