/** Whether this Node can run the project, and if not, how the one gets here that the project brings. Plain JavaScript for any Node. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MIN_MAJOR = 24;

/**
 * What is wrong with running the project on this Node, and what to do; undefined if nothing is.
 *
 * @param {object} [where]
 * @param {string} [where.version] of Node
 * @param {string} [where.modules] the folder `node_modules`, with a slash at its end
 * @returns {string | undefined}
 */
export function nodeFault({
  version = process.version,
  modules = fileURLToPath(new URL('../node_modules/', import.meta.url)),
} = {}) {
  if (Number(version.slice(1).split('.')[0]) >= MIN_MAJOR) return undefined;
  const needs = `needs Node ${MIN_MAJOR} or newer and this is ${version}`;
  if (!existsSync(`${modules}node/package.json`))
    return `${needs}: the development dependency "node", which brings one, is not installed: run "npm ci" without NODE_ENV=production or --omit=dev`;
  if (!existsSync(`${modules}.bin/node`))
    return `${needs}: the install script of the dependency "node", which brings one, did not run: run "npm rebuild node", and "npm ci" without --ignore-scripts`;
  return `${needs}: run it by "npm", which uses the project's own`;
}
