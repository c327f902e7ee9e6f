/**
 * The systems that this user runs on this machine: each leaves a note of where it is, so that other programs find it, and
 * a second one does not start in its place. The notes are in a folder that only this user may write to.
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * What a note says; no secrets.
 *
 * @typedef {object} RunningSystem
 * @property {number} pid of the program that holds it together
 * @property {string} publicUrl
 * @property {string} [brokerUrl] of the embedded broker; undefined where it has another
 * @property {string} [telemetryUrl] of its collector
 * @property {number[]} ports all that it listens on
 * @property {{ name: string, readyUrl: string }[]} services where each says whether it is ready
 */

/**
 * Leaves a note of `system`; where that cannot be, it is only not found.
 *
 * @param {RunningSystem} system
 * @returns {() => void} takes the note away
 */
export function noteRunningSystem(system) {
  const path = join(folder(), `${system.pid}.json`);
  try {
    mkdirSync(folder(), { recursive: true, mode: 0o700 });
    if (isOurs(folder())) writeFileSync(path, JSON.stringify(system), { mode: 0o600 });
  } catch {
    // A folder that cannot be written to costs nobody the start.
  }
  return () => rmSync(path, { force: true });
}

/**
 * Those that are there, the last started first. Notes of systems that were killed are taken away.
 *
 * @returns {RunningSystem[]}
 */
export function findRunningSystems() {
  const paths = isOurs(folder()) ? readdirSync(folder()).map((name) => join(folder(), name)) : [];
  const byAge = paths.map((path) => ({ path, madeMs: madeMs(path) })).sort((a, b) => b.madeMs - a.madeMs);
  return byAge.flatMap(({ path }) => {
    const system = read(path);
    if (system && isAlive(system.pid)) return [system];
    rmSync(path, { force: true });
    return [];
  });
}

/** Not all users have a name; on Windows there are no such ids, and nothing is found. */
const UID = process.getuid?.() ?? -1;

function folder() {
  return join(tmpdir(), `waybill-${UID}`);
}

/** Others may make folders of any name where temporary files are. @param {string} path */
function isOurs(path) {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats?.isDirectory() === true && stats.uid === UID && (stats.mode & 0o022) === 0;
}

/** @param {string} path */
function madeMs(path) {
  return lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/**
 * Nothing, when it is gone or half written.
 *
 * @param {string} path
 * @returns {RunningSystem | undefined}
 */
function read(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

/** @param {number} pid */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}
