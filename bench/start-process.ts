import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { tieToThisProcess } from '@waybill/test-harness/lifeline.ts';

/** A Node process of a measurement. It is killed when this process ends, in whatever way. */
export type BenchProcess = {
  name: string;
  pid: number;
  /** Of its log line `listening`; undefined if it names none. */
  port: number | undefined;
  /** What it writes to its standard output from now on; read and dropped. */
  stdout: Readable;
  /** Kills it; resolves when it has ended. */
  kill(): Promise<void>;
};

/** What runs a service as `npm start` does. */
export const WAYBILL_PRELOAD = '@waybill/common/telemetry';

const projectFolder = fileURLToPath(new URL('..', import.meta.url));

/**
 * Starts a program of the project, from the project's folder, and resolves when it has logged `listening`. Its
 * errors go to this terminal.
 *
 * @param options.preload modules for `--import`.
 * @throws when it ends before.
 */
export async function startProcess(options: {
  name: string;
  program: string;
  args?: readonly string[];
  preload?: readonly string[];
  env?: Record<string, string | number>;
}): Promise<BenchProcess> {
  const { name, program, args = [], preload = [], env = {} } = options;
  const imports = preload.flatMap((module) => ['--import', module]);
  const child = spawn(process.execPath, [...imports, program, ...args], {
    cwd: projectFolder,
    env: { ...process.env, ...toStrings(env) },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child, 'spawn');
  const pid = child.pid as number;
  const exited = once(child, 'exit').then(tieToThisProcess({ pid }));
  const stdout = child.stdout as Readable;
  const { port } = await listening(stdout).catch(() => Promise.reject(new Error(`${name} did not start`)));
  return {
    ...{ name, pid, port, stdout },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** Rejects when the output ends before. */
async function listening(stdout: Readable): Promise<{ port?: number }> {
  const lines = createInterface({ input: stdout });
  const { promise, resolve, reject } = Promise.withResolvers<{ port?: number }>();
  lines.on('line', (line) => {
    if (line.includes('"msg":"listening"')) resolve(JSON.parse(line));
  });
  lines.once('close', reject);
  try {
    return await promise;
  } finally {
    lines.close();
    stdout.resume();
  }
}

function toStrings(env: Record<string, string | number>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).map(([key, value]) => [key, String(value)]));
}
