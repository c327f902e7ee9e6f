/**
 * The user's own listeners, as `npx waybill dev` runs them: each as a process that Node starts again when a file of it is
 * saved. It is told to stop first and waited for, so that what it has under way is handled, or given back to the broker.
 */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, extname, relative, resolve } from 'node:path';
import { UserError } from '../../../bin/plain/user-error.mjs';
import { PRELOAD } from './programs.ts';
import type { Service } from './run-services.ts';

/**
 * The listeners that `files` name, or the one that `main` of the `package.json` here does.
 *
 * @throws UserError for a file that is not there, or none that is named
 */
export function findListeners(files: string[], folder: string = process.cwd()): string[] {
  const named = files.length > 0 ? files : [readMain(folder)];
  for (const file of named) {
    if (!existsSync(resolve(folder, file))) throw new UserError(`there is no file ${file}`);
    if (extname(file) === '.ts' && !process.features.typescript)
      throw new UserError(`Node ${process.version} runs no TypeScript: use Node 22.18 or newer`);
  }
  return named.map((file) => resolve(folder, file));
}

function readMain(folder: string): string {
  const manifest = resolve(folder, 'package.json');
  const { main } = existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')) : {};
  if (typeof main === 'string') return main;
  throw new UserError('give the file of a listener, or name it as "main" in package.json; see --help');
}

/** @param env holds no more of Waybill's secrets than AMQP_URL */
export function describeListeners(paths: string[], env: NodeJS.ProcessEnv): Service[] {
  return paths.map((path) => ({
    name: nameOf(path, paths),
    args: ['--watch', '--watch-preserve-output', '--import', PRELOAD, path],
    env: { ...env, HOST: '127.0.0.1', HEALTH_PORT: '0' },
  }));
}

/** As short as tells it from the others. */
function nameOf(path: string, all: string[]): string {
  const isAlone = all.filter((other) => shortName(other) === shortName(path)).length === 1;
  return isAlone ? shortName(path) : relative(process.cwd(), path);
}

/** The file's, or where that says nothing its project's. */
function shortName(path: string): string {
  const name = basename(path, extname(path));
  return ['main', 'index'].includes(name) ? basename(dirname(path).replace(/\/src$/, '')) : name;
}
