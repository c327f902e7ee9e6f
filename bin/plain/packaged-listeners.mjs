/**
 * The listeners among the packages, as their manifests say: `"waybill": { "service": "ping", "healthPort": 8084 }`. What `npm
 * start` runs, and the broker's users and their secrets, are made of this (docs/adding-a-listener.md).
 *
 * Plain JavaScript without dependencies: bin/make-secrets.mjs uses it.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {object} PackagedListener
 * @property {string} name of the folder, and without its scope of the package
 * @property {string} service as it calls itself: its queue is `waybill.<service>`
 * @property {number} healthPort under `npm start`
 * @property {boolean} hasSettings besides those of every listener, in its `config.ts`
 */

/**
 * @param {string} folder holds a folder for each package
 * @returns {PackagedListener[]} by name
 */
export function readPackagedListeners(folder) {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const { waybill, exports } = readManifest(join(folder, name, 'package.json'));
      return waybill ? [{ name, ...waybill, hasSettings: './config.ts' in exports }] : [];
    });
}

/** @param {string} path */
function readManifest(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
}
