import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, globSync } from 'node:fs';
import { chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { readLines } from './child-output.ts';
import { freePort } from './free-port.ts';
import { tieToThisProcess } from './lifeline.ts';

/** A PostgreSQL of one's own, on loopback, with its own port and folder. */
export type Postgresql = {
  /** `postgresql://waybill@127.0.0.1:<port>/postgres`, the same after a restart. */
  url: string;
  /** Holds its data, and may be written to by its programs. */
  folder: string;
  /** Sends a signal to the server and waits for its end (SIGINT: fast shutdown). */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Starts it again on the same data and port, once it has ended. */
  start(): Promise<void>;
  /** Runs a program that comes with it (`pg_dump` …), on this server, and resolves with its output. */
  run(program: string, ...args: string[]): Promise<string>;
  /** Kills it and removes its folder. Also happens by itself when this process ends in any way. */
  stop(): Promise<void>;
};

/** Why a test cannot run here, or false: `{ skip: needsPostgresql() }`. */
export const needsPostgresql = () => (findPostgresql() ? false : 'needs an installed PostgreSQL');

/** The folder of its programs: Debian's of the newest version, or one in the path; undefined where there is none. */
export function findPostgresql(): string | undefined {
  const debian = globSync('/usr/lib/postgresql/*/bin').sort().reverse();
  const folders = [...debian, ...(process.env.PATH ?? '').split(delimiter)];
  return folders.find((folder) =>
    ['initdb', 'postgres'].every((program) => existsSync(join(folder, program))),
  );
}

/** Of `nobody`: it does not run as root. */
const NOBODY = 65_534;

/**
 * Starts a PostgreSQL that lives as long as this process and resolves when it takes connections (about 2 s).
 *
 * @param options.isSynced whether a commit waits for the disk; default: no, which is faster.
 * @throws when none is installed, or when it does not start within 60 s; the message has its last output.
 */
export async function startPostgresql({ isSynced = false } = {}): Promise<Postgresql> {
  const programs = findPostgresql();
  if (!programs) throw new Error('PostgreSQL is not installed');
  const folder = await mkdtemp(join(tmpdir(), 'waybill-postgresql-'));
  const user = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  if (user.uid !== undefined) await chown(folder, user.uid, user.gid);
  const data = join(folder, 'data');
  const options = { cwd: folder, ...user };
  const run = async (program: string, ...args: string[]) =>
    (await promisify(execFile)(join(programs, program), args, options)).stdout;
  await run('initdb', '--no-sync', '--username=waybill', '--auth=trust', '--encoding=UTF8', '--pgdata', data);
  const port = await freePort();
  const url = `postgresql://waybill@127.0.0.1:${port}/postgres`;

  function launch() {
    const fsync = isSynced ? 'on' : 'off';
    const settings = ['listen_addresses=127.0.0.1', `unix_socket_directories=${folder}`, `fsync=${fsync}`];
    const args = ['-D', data, '-p', String(port), ...settings.flatMap((setting) => ['-c', setting])];
    const child = spawn(join(programs ?? '', 'postgres'), args, {
      ...options,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const untie = tieToThisProcess({ pid: child.pid as number, folder });
    return { child, untie, closed: once(child, 'close') };
  }

  let running = launch();
  await started(running.child);

  async function kill(signal: NodeJS.Signals): Promise<void> {
    running.child.kill(signal);
    await running.closed;
    running.untie();
  }

  return {
    url,
    folder,
    kill,
    async start() {
      running = launch();
      await started(running.child);
    },
    run,
    async stop() {
      if (running.child.exitCode === null && running.child.signalCode === null) await kill('SIGQUIT');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function started(child: ReturnType<typeof spawn>): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const lastLines: string[] = [];
  const fail = (why: string) =>
    reject(new Error(`PostgreSQL ${why}; its last output:\n${lastLines.join('\n')}`));
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    fail('did not start within 60 s');
  }, 60_000);
  readLines(child, (line) => {
    lastLines.push(line);
    if (lastLines.length > 20) lastLines.shift();
    if (line.includes('ready to accept connections')) resolve();
  });
  child.once('close', (code, signal) => fail(`ended (${signal ?? `exit code ${code}`})`));
  return promise.finally(() => clearTimeout(timer));
}
