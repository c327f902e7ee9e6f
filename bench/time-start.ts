import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { tieToThisProcess } from '@waybill/test-harness/lifeline.ts';
import { expectPong } from './expect-answer.ts';
import { cpuOfTreeUs } from './process-usage.ts';
import { WAYBILL_PRELOAD } from './start-process.ts';

/** Where `npm start` answers. */
const PUBLIC_URL = 'http://localhost:8080';
const LISTENER = 'packages/ping-listener/src/main.ts';
const WATCHED = 'packages/ping-listener/src/ping.ts';

/** What a start takes. */
export type StartTimes = {
  /** From the command to the line that says so, and the first answer. */
  readyMs: number;
  /** CPU that all of its processes have used by then. */
  cpuMs: number;
  /** From saving a file of a listener to its being there again, as `node --watch` starts it. */
  restartMs: number;
};

/**
 * Times both in the project at `folder`, one after the other.
 *
 * @throws when it does not start, or when what is ready does not answer.
 */
export async function timeStart(folder: string, env: NodeJS.ProcessEnv): Promise<StartTimes> {
  const start = await timeSystem(folder, env);
  return { ...start, restartMs: await timeRestart(folder, env) };
}

async function timeSystem(folder: string, env: NodeJS.ProcessEnv) {
  const startedMs = performance.now();
  const npm = run('npm', ['start'], folder, env);
  try {
    await npm.says((line) => line === 'ready');
    await expectPong(PUBLIC_URL);
    return { readyMs: performance.now() - startedMs, cpuMs: cpuOfTreeUs(npm.pid) / 1_000 };
  } finally {
    await npm.stop();
  }
}

async function timeRestart(folder: string, env: NodeJS.ProcessEnv): Promise<number> {
  const args = ['--watch', '--watch-preserve-output', '--import', WAYBILL_PRELOAD, LISTENER];
  // It listens before there is a broker.
  const settings = { AMQP_URL: 'amqp://127.0.0.1:1', HEALTH_PORT: '0' };
  // As `npx waybill dev` has it do; before that there was one, nothing was kept.
  const compiled = join(folder, 'node_modules/.cache/compiled');
  const kept = existsSync(compiled) && { NODE_COMPILE_CACHE: compiled };
  const listener = run(process.execPath, args, folder, { ...kept, ...env, ...settings });
  try {
    await listener.says(isListening);
    const savedMs = performance.now();
    await utimes(join(folder, WATCHED), new Date(), new Date());
    await listener.says(isListening);
    return performance.now() - savedMs;
  } finally {
    await listener.stop();
  }
}

const isListening = (line: string) => line.includes('"msg":"listening"');

/** Runs a command in a process group of its own. */
function run(command: string, args: string[], folder: string, env: NodeJS.ProcessEnv) {
  const stdio = ['ignore', 'pipe', 'inherit'] as const;
  const child = spawn(command, args, { cwd: folder, env, stdio: [...stdio], detached: true });
  const pid = child.pid as number;
  const untie = tieToThisProcess({ pid: -pid });
  const lines = createInterface({ input: child.stdout as Readable });
  return {
    pid,
    /** Resolves at the next such line; rejects when the program ends before. */
    says(isMeant: (line: string) => boolean): Promise<void> {
      return new Promise((resolve, reject) => {
        lines.on('line', (line) => isMeant(line) && resolve());
        lines.once('close', () => reject(new Error(`${command} ${args.join(' ')} ended in ${folder}`)));
      });
    },
    /** What npm starts ends when npm does, and closes the output as the last. */
    async stop(): Promise<void> {
      const ended = once(child, 'close');
      if (child.exitCode === null) process.kill(-pid, 'SIGTERM');
      await ended;
      untie();
    },
  };
}
