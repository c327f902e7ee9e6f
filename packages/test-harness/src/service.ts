import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { bareEnvironment } from './bare-environment.ts';
import { collectLog, type LogLine } from './collect-log.ts';
import { eventually, PATIENCE_MS } from './eventually.ts';
import { tieToThisProcess } from './lifeline.ts';

export type StartServiceOptions = {
  /** The package, as in `packages/<name>/src/main.ts`. */
  name: string;
  /** All the environment the service gets, besides the bare one and ports 0. */
  env?: Record<string, string>;
  args?: string[];
  /** Another program instead of the package's `main.ts`, from the project folder. */
  main?: string;
  /** Most files and sockets it may have open; default: what the system allows. */
  maxOpenFiles?: number;
};

/** A service running as a process of its own. It is killed when this process ends, in whatever way. */
export type Service = {
  name: string;
  pid: number;
  /** The ports it listens on, as logged; undefined if it has no such port. */
  port: number | undefined;
  internalPort: number | undefined;
  healthPort: number | undefined;
  /** `http://127.0.0.1:<port>`; with `TLS_CERT_FILE` in its environment `https://localhost:<port>`. */
  baseUrl: string;
  /** All it has logged so far; grows. */
  logs: LogLine[];
  /** Resolves with the first line, past ones included, that `predicate` accepts. Default deadline {@link PATIENCE_MS}. */
  waitForLog(predicate: (line: LogLine) => boolean, timeoutMs?: number): Promise<LogLine>;
  /** Resolves when `/health/ready` answers 200. Default deadline {@link PATIENCE_MS}. */
  ready(timeoutMs?: number): Promise<void>;
  /** Resolves when the process has ended and its output was read. Does not end it. */
  exited: Promise<Exit>;
  /** Sends `signal` (default SIGTERM) and waits for the end. Past 15 s it is killed and this rejects. */
  stop(signal?: NodeJS.Signals): Promise<Exit>;
  /** Sends a signal and waits for nothing. */
  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void;
};

export type Exit = { code: number | null; signal: NodeJS.Signals | null };

const projectFolder = fileURLToPath(new URL('../../../', import.meta.url));

/**
 * Starts a service and resolves once it has logged `listening` (it need not be ready yet).
 *
 * @throws with its last log lines, if it ends or says nothing of the kind within {@link PATIENCE_MS}.
 */
export async function startService({
  name,
  env,
  args = [],
  main,
  maxOpenFiles,
}: StartServiceOptions): Promise<Service> {
  const program = main ?? `packages/${name}/src/main.ts`;
  const command = [process.execPath, '--import', '@waybill/common/telemetry', program, ...args];
  const limited = ['sh', '-c', `ulimit -n ${maxOpenFiles} && exec "$@"`, 'sh', ...command];
  const [file = '', ...rest] = maxOpenFiles === undefined ? command : limited;
  const child = spawn(file, rest, {
    cwd: projectFolder,
    env: { ...bareEnvironment(), PORT: '0', INTERNAL_PORT: '0', HEALTH_PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  await once(child, 'spawn');
  const pid = child.pid as number;
  const untie = tieToThisProcess({ pid });
  const exited: Promise<Exit> = once(child, 'close').then(([code, signal]) => ({ code, signal }));
  exited.finally(untie);
  const log = collectLog({ name, child });

  const listening = await log
    .waitFor((line) => line.msg === 'listening')
    .catch((error) => {
      child.kill('SIGKILL');
      throw error;
    });
  const { port, internalPort, healthPort } = listening as Record<string, number | undefined>;
  const baseUrl = env?.TLS_CERT_FILE ? `https://localhost:${port}` : `http://127.0.0.1:${port}`;
  const healthUrl = healthPort === undefined ? baseUrl : `http://127.0.0.1:${healthPort}`;

  return {
    name,
    pid,
    port,
    internalPort,
    healthPort,
    baseUrl,
    logs: log.lines,
    waitForLog: log.waitFor,
    ready: (timeoutMs = PATIENCE_MS) =>
      eventually(() => expectReady(`${healthUrl}/health/ready`), { timeoutMs }).catch((error) => {
        throw log.error(`${name} is not ready: ${error.message}`);
      }),
    exited,
    async stop(signal = 'SIGTERM') {
      child.kill(signal);
      const timer = setTimeout(() => child.kill('SIGKILL'), 15_000);
      const exit = await exited;
      clearTimeout(timer);
      if (exit.signal === 'SIGKILL' && signal !== 'SIGKILL')
        throw log.error(`${name} did not stop within 15 s of ${signal}`);
      return exit;
    },
    kill: (signal) => void child.kill(signal),
  };
}

async function expectReady(url: string): Promise<void> {
  const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
  if (response.status !== 200) throw new Error(`${url} answered ${response.status} ${await response.text()}`);
  await response.body?.cancel();
}
