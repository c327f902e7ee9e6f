/**
 * The systems that this user runs on this machine: each leaves a note of where it is, so that other programs find it, and
 * a second one does not start in its place. The notes are in a folder that only this user may write to.
 */
import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';

/** What a note says; no secrets. */
export type RunningSystem = {
  /** Of the program that holds it together. */
  pid: number;
  publicUrl: string;
  /** Of the embedded broker; undefined where it has another. */
  brokerUrl?: string | undefined;
  /** Of its collector. */
  telemetryUrl?: string | undefined;
  /** All that it listens on. */
  ports: number[];
  /** Where each service says whether it is ready. */
  services: { name: string; readyUrl: string }[];
};

/**
 * Leaves a note of `system`; where that cannot be, it is only not found.
 *
 * @returns takes the note away
 */
export function noteRunningSystem(system: RunningSystem): () => void {
  const path = join(folder(), `${system.pid}.json`);
  try {
    mkdirSync(folder(), { recursive: true, mode: 0o700 });
    if (isOurs(folder())) writeFileSync(path, JSON.stringify(system), { mode: 0o600 });
  } catch {
    // A folder that cannot be written to costs nobody the start.
  }
  return () => rmSync(path, { force: true });
}

/** Those that are there, the last started first. Notes of systems that were killed are taken away. */
export function findRunningSystems(): RunningSystem[] {
  const paths = isOurs(folder()) ? readdirSync(folder()).map((name) => join(folder(), name)) : [];
  const byAge = paths.map((path) => ({ path, madeMs: madeMs(path) })).sort((a, b) => b.madeMs - a.madeMs);
  return byAge.flatMap(({ path }) => {
    const system = read(path);
    if (system && isAlive(system.pid)) return [system];
    rmSync(path, { force: true });
    return [];
  });
}

function folder(): string {
  return join(tmpdir(), `waybill-${userInfo().uid}`);
}

/** Others may make folders of any name where temporary files are. */
function isOurs(path: string): boolean {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats?.isDirectory() === true && stats.uid === userInfo().uid && (stats.mode & 0o022) === 0;
}

function madeMs(path: string): number {
  return lstatSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Nothing, when it is gone or half written. */
function read(path: string): RunningSystem | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
