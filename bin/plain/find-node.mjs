/** Finds a Node that can run the project's TypeScript. Plain JavaScript for any Node from 20 up. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { UserError } from './user-error.mjs';

const MIN_MAJOR = 24;

/**
 * The Node that runs this, if it is new enough, or else the one that the project brings.
 *
 * @param {object} [where]
 * @param {string} [where.version] of the Node that runs this
 * @param {string} [where.modules] the folder `node_modules`, with a slash at its end
 * @returns {string} its path
 * @throws {UserError} why the project brings none, and what to do
 */
export function findNode({
  version = process.version,
  modules = fileURLToPath(new URL('../../node_modules/', import.meta.url)),
} = {}) {
  if (Number(version.slice(1).split('.')[0]) >= MIN_MAJOR) return process.execPath;
  const needs = `needs Node ${MIN_MAJOR} or newer and this is ${version}`;
  if (!existsSync(`${modules}node/package.json`))
    throw new UserError(
      `${needs}: the development dependency "node", which brings one, is not installed: run "npm ci" without NODE_ENV=production or --omit=dev`,
    );
  if (!existsSync(`${modules}.bin/node`))
    throw new UserError(
      `${needs}: the install script of the dependency "node", which brings one, did not run: run "npm rebuild node", and "npm ci" without --ignore-scripts`,
    );
  return `${modules}.bin/node`;
}
