/** A new listener's project, from the folder `templates/`. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { UserError } from '../../../bin/plain/user-error.mjs';
import { installedPackages, type Origin, vendor } from './installed-packages.ts';

const templates = fileURLToPath(new URL('../templates/', import.meta.url));
/** npm leaves files of these names out of what it packs. */
const DOT_FILES = ['gitignore', 'dockerignore', 'env'];
/** Of the broker's own queues, `waybill.<service>`. */
const RESERVED = ['replies', 'dead-letters'];

const LISTENER = '@waybill/listener';
const TYPESCRIPT = { '@types/node': '^24.0.0', typescript: '>=5.9.0' };

/**
 * Makes the folder `name` below `into`. Its tests pass once its dependencies are installed.
 *
 * @throws UserError for a name that no service can have, or a folder that is there already
 */
export function createProject({
  name,
  language,
  into,
}: {
  name: string;
  language: 'typescript' | 'javascript';
  into: string;
}): void {
  if (!/^[a-z0-9][a-z0-9-]{0,63}$/.test(name) || RESERVED.includes(name))
    throw new UserError(
      `a listener cannot be called ${name}: give lower-case letters, digits and -, but not ${RESERVED.join(' or ')}`,
    );
  const folder = join(into, name);
  if (existsSync(folder)) throw new UserError(`there is a folder ${name} already`);
  const main = language === 'typescript' ? 'src/main.ts' : 'src/main.js';
  const fill = (text: string) =>
    text
      .replaceAll('{{name}}', name)
      .replaceAll('{{main}}', main)
      .replaceAll('{{secret}}', () => randomBytes(32).toString('base64url'));
  for (const source of ['shared', language])
    for (const { path, text } of readTemplate(source)) write(join(folder, path), fill(text));
  const origins = installedPackages();
  vendor(origins, folder);
  write(
    join(folder, 'package.json'),
    `${JSON.stringify(describe({ name, language, main, origins }), null, 2)}\n`,
  );
}

/** Each file with the path that it will have. */
function readTemplate(source: string) {
  const files = readdirSync(join(templates, source), { recursive: true, withFileTypes: true });
  return files
    .filter((file) => file.isFile())
    .map(({ parentPath, name }) => {
      const path = relative(
        join(templates, source),
        join(parentPath, DOT_FILES.includes(name) ? `.${name}` : name),
      );
      return { path, text: readFileSync(join(parentPath, name), 'utf8') };
    });
}

function write(path: string, text: string) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

/** Its `package.json`. */
function describe({
  name,
  language,
  main,
  origins,
}: {
  name: string;
  language: 'typescript' | 'javascript';
  main: string;
  origins: Origin[];
}) {
  const isRuntime = ({ name, isNeededBy }: Origin) => name === LISTENER || isNeededBy.includes(LISTENER);
  const isWanted = ({ name, tarball }: Origin) => tarball || [LISTENER, 'waybill'].includes(name);
  const specsOf = (some: Origin[]) => Object.fromEntries(some.map(({ name, spec }) => [name, spec]));
  const wanted = origins.filter(isWanted);
  return {
    name,
    version: '0.0.0',
    private: true,
    type: 'module',
    main,
    engines: { node: '>=22.18' },
    // npm asks about its install script otherwise, which compares versions and does nothing.
    allowScripts: { protobufjs: false },
    scripts: {
      dev: 'waybill dev',
      start: `node --import @waybill/listener/telemetry ${main}`,
      test: 'node --test',
      ...(language === 'typescript' && { check: 'tsc' }),
    },
    dependencies: specsOf(wanted.filter(isRuntime)),
    devDependencies: {
      ...(language === 'typescript' && TYPESCRIPT),
      ...specsOf(wanted.filter((origin) => !isRuntime(origin))),
    },
  };
}
