import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { readLines } from './child-output.ts';
import { tieToThisProcess } from './lifeline.ts';

/** One run of the broker's Erlang VM. */
export type RabbitmqProcess = {
  pid: number;
  /** Sends a signal; resolves when the VM has ended, for SIGSTOP and SIGCONT and after its end at once. */
  kill(signal: NodeJS.Signals): Promise<void>;
};

/**
 * Starts RabbitMQ's server script in `folder`, and resolves when it takes connections. When this process ends, the
 * broker is killed.
 *
 * @throws with its last output, if it ends or does not start within 240 s.
 */
export async function startRabbitmqProcess(options: {
  scripts: string;
  folder: string;
  env: NodeJS.ProcessEnv;
}): Promise<RabbitmqProcess> {
  const { scripts, folder, env } = options;
  const child = spawn(join(scripts, 'rabbitmq-server'), { env, cwd: folder, detached: true });
  await once(child, 'spawn');
  const pid = child.pid as number;
  const untie = tieToThisProcess({ pid: -pid });
  const closed = once(child, 'close').finally(untie);
  await started(child);
  return {
    pid,
    async kill(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return;
      process.kill(pid, signal);
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await closed;
    },
  };
}

function started(child: ChildProcess): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const lastLines: string[] = [];
  const fail = (why: string) =>
    reject(new Error(`RabbitMQ ${why}; its last output:\n${lastLines.join('\n')}`));
  const timer = setTimeout(() => {
    child.kill('SIGKILL');
    fail('did not start within 240 s');
  }, 240_000);
  readLines(child, (line) => {
    lastLines.push(line);
    if (lastLines.length > 20) lastLines.shift();
    if (line.includes('startup complete')) resolve();
  });
  child.once('close', (code, signal) => fail(`ended (${signal ?? `exit code ${code}`})`));
  return promise.finally(() => clearTimeout(timer));
}
