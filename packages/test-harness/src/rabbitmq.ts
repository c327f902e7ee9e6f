import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import { tieToThisProcess } from './lifeline.ts';
import { type RabbitmqOptions, rabbitmqEnvironment, writeConfiguration } from './rabbitmq-config.ts';
import { startRabbitmqProcess } from './rabbitmq-process.ts';

/** A RabbitMQ of one's own, on loopback, with its own ports, cookie, epmd and folder. */
export type Rabbitmq = {
  /** `amqp://guest:guest@127.0.0.1:<port>`, the same after a restart. */
  url: string;
  /** `amqps://guest:guest@localhost:<port>`; nothing listens there unless it was started with `tls`. */
  tlsUrl: string;
  /** `http://guest:guest@127.0.0.1:<port>`, the management API. */
  managementUrl: string;
  /** Holds its data and all else of it, until it is stopped. */
  folder: string;
  /** The Erlang VM; another one after a restart. */
  readonly pid: number;
  /** Runs `rabbitmqctl` (0.3 s or more each) and resolves with its output. Rejects when it fails. */
  ctl(...args: string[]): Promise<string>;
  /** Sends a signal to the VM; resolves when it has ended, for SIGSTOP and SIGCONT at once. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /**
   * Stops the broker with SIGTERM (6 s, of which the management plugin takes 5) unless it has ended already, and
   * starts it again on the same data and ports.
   */
  restart(): Promise<void>;
  /** Kills the broker and removes its folder. Also happens by itself when this process ends in any way. */
  stop(): Promise<void>;
};

/**
 * The folder of RabbitMQ's own scripts: the one that TEST_RABBITMQ names, or the installed one, or undefined where none
 * is installed.
 *
 * @throws when TEST_RABBITMQ names a folder without them.
 */
export function findRabbitmq(): string | undefined {
  const { TEST_RABBITMQ, PATH = '' } = process.env;
  if (TEST_RABBITMQ) {
    if (hasScripts(TEST_RABBITMQ)) return TEST_RABBITMQ;
    throw new Error(`TEST_RABBITMQ names no folder with rabbitmq-server and rabbitmqctl: ${TEST_RABBITMQ}`);
  }
  // Debian's scripts in the path are wrappers that insist on the rabbitmq user; the real ones are here.
  return ['/usr/lib/rabbitmq/bin', ...PATH.split(delimiter)].find(hasScripts);
}

function hasScripts(folder: string): boolean {
  return ['rabbitmq-server', 'rabbitmqctl'].every((script) => existsSync(join(folder, script)));
}

/**
 * Starts a RabbitMQ that lives as long as this process and resolves when it takes connections (about 4 s). Its folder is
 * made in the one that TEST_RABBITMQ_DATA names, or in that of the system for temporary files.
 *
 * @throws when no RabbitMQ is installed, or when it does not start within 240 s; the message has its last output.
 */
export async function startRabbitmq(options: RabbitmqOptions = {}): Promise<Rabbitmq> {
  const scripts = findRabbitmq();
  if (!scripts) throw new Error('RabbitMQ is not installed');
  const folder = await mkdtemp(join(process.env.TEST_RABBITMQ_DATA || tmpdir(), 'waybill-rabbitmq-'));
  const ports = {
    amqp: await freePort(),
    amqps: await freePort(),
    management: await freePort(),
    distribution: await freePort(),
    epmd: await freePort(),
  };
  await writeConfiguration(folder, ports, options);
  // An epmd beside the scripts comes first.
  const PATH = [scripts, process.env.PATH].join(delimiter);
  const env = { ...rabbitmqEnvironment(folder, ports, options), PATH };

  // Ours in the foreground; RabbitMQ would start a daemon that outlives it.
  const epmd = spawn('epmd', ['-port', String(ports.epmd), '-address', '127.0.0.1'], {
    env,
    stdio: 'ignore',
  });
  await once(epmd, 'spawn');
  const untieEpmd = tieToThisProcess({ pid: epmd.pid as number, folder });
  async function removeRest(): Promise<void> {
    if (epmd.kill('SIGKILL')) await once(epmd, 'exit');
    untieEpmd();
    // What has just been killed may still be writing its last file.
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }

  const startProcess = () => startRabbitmqProcess({ scripts, folder, env });
  let broker = await startProcess().catch(async (error) => {
    await removeRest();
    throw error;
  });

  return {
    url: `amqp://guest:guest@127.0.0.1:${ports.amqp}`,
    tlsUrl: `amqps://guest:guest@localhost:${ports.amqps}`,
    managementUrl: `http://guest:guest@127.0.0.1:${ports.management}`,
    folder,
    get pid() {
      return broker.pid;
    },
    ctl: async (...args) =>
      (
        await promisify(execFile)(join(scripts, 'rabbitmqctl'), ['--quiet', ...args], {
          env,
          timeout: 60_000,
        })
      ).stdout,
    kill: (signal) => broker.kill(signal),
    async restart() {
      await broker.kill('SIGTERM');
      broker = await startProcess();
    },
    async stop() {
      await broker.kill('SIGKILL');
      await removeRest();
    },
  };
}
