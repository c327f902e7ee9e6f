import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';
import { tieToThisProcess } from './lifeline.ts';
import { startRabbitmqProcess } from './rabbitmq-process.ts';

/** A RabbitMQ of one's own, on loopback, with its own ports, cookie, epmd and folder. */
export type Rabbitmq = {
  /** `amqp://guest:guest@127.0.0.1:<port>`, the same after a restart. */
  url: string;
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

/** The folder of RabbitMQ's own scripts, or undefined where none is installed. */
export function findRabbitmq(): string | undefined {
  // Debian's scripts in the path are wrappers that insist on the rabbitmq user; the real ones are here.
  const folders = ['/usr/lib/rabbitmq/bin', ...(process.env.PATH ?? '').split(delimiter)];
  return folders.find((folder) =>
    ['rabbitmq-server', 'rabbitmqctl'].every((script) => existsSync(join(folder, script))),
  );
}

/**
 * Starts a RabbitMQ that lives as long as this process and resolves when it takes connections (about 4 s).
 *
 * @throws when no RabbitMQ is installed, or when it does not start within 60 s; the message has its last output.
 */
export async function startRabbitmq(): Promise<Rabbitmq> {
  const scripts = findRabbitmq();
  if (!scripts) throw new Error('RabbitMQ is not installed');
  const folder = await mkdtemp(join(tmpdir(), 'waybill-rabbitmq-'));
  const ports = {
    amqp: await freePort(),
    management: await freePort(),
    distribution: await freePort(),
    epmd: await freePort(),
  };
  await writeFile(join(folder, 'enabled_plugins'), '[rabbitmq_management].');
  await writeFile(join(folder, 'rabbitmq.conf'), configuration(ports));
  const env = environment(folder, ports);

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
    await rm(folder, { recursive: true, force: true });
  }

  const startProcess = () => startRabbitmqProcess({ scripts, folder, env });
  let broker = await startProcess().catch(async (error) => {
    await removeRest();
    throw error;
  });

  return {
    url: `amqp://guest:guest@127.0.0.1:${ports.amqp}`,
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

type Ports = { amqp: number; management: number; distribution: number; epmd: number };

function configuration(ports: Ports): string {
  return [
    `listeners.tcp.default = 127.0.0.1:${ports.amqp}`,
    `management.tcp.ip = 127.0.0.1`,
    `management.tcp.port = ${ports.management}`,
    'disk_free_limit.absolute = 1MB',
    'log.console = true',
    'log.file = false',
    '',
  ].join('\n');
}

function environment(folder: string, ports: Ports): NodeJS.ProcessEnv {
  return {
    PATH: process.env.PATH,
    HOME: folder, // where Erlang keeps its cookie
    ERL_EPMD_PORT: String(ports.epmd),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: `waybill-${ports.amqp}@localhost`,
    RABBITMQ_DIST_PORT: String(ports.distribution),
    RABBITMQ_CONF_ENV_FILE: join(folder, 'rabbitmq-env.conf'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    // The script then becomes the Erlang VM instead of staying its parent, so that signals reach it.
    RUNNING_UNDER_SYSTEMD: 'true',
    // Two schedulers, not bound to a core each: the tests need those cores too. Distribution on loopback only.
    // Queue depths of quorum queues are brought up to date every 200 ms instead of every 5 s.
    RABBITMQ_SCHEDULER_BIND_TYPE: 'u',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS:
      '+S 2:2 -kernel inet_dist_use_interface {127,0,0,1} -rabbit quorum_tick_interval 200',
  };
}
