/** How a private RabbitMQ of the tests is set up: loopback only, in one folder, small. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { KeyPair } from './certificates.ts';

export type RabbitmqOptions = {
  /** Opens a port with TLS besides. */
  tls?: KeyPair;
  /** Further lines of its configuration. */
  settings?: readonly string[];
  /** How often quorum queues bring their depths up to date; default 200 ms, where RabbitMQ has 5 s: tests look at them. */
  quorumTickMs?: number;
};

/** The ports of one broker. */
export type RabbitmqPorts = Record<'amqp' | 'amqps' | 'management' | 'distribution' | 'epmd', number>;

/** Writes what it reads at its start into `folder`. */
export async function writeConfiguration(
  folder: string,
  ports: RabbitmqPorts,
  { tls, settings = [] }: RabbitmqOptions,
): Promise<void> {
  const lines = [
    `listeners.tcp.default = 127.0.0.1:${ports.amqp}`,
    `management.tcp.ip = 127.0.0.1`,
    `management.tcp.port = ${ports.management}`,
    'disk_free_limit.absolute = 1MB',
    'log.console = true',
    'log.file = false',
    ...(tls ? await withTls(tls, folder, ports.amqps) : []),
    ...settings,
  ];
  await writeFile(join(folder, 'enabled_plugins'), '[rabbitmq_management].');
  await writeFile(join(folder, 'rabbitmq.conf'), `${lines.join('\n')}\n`);
}

/** The environment of all its programs. */
export function rabbitmqEnvironment(
  folder: string,
  ports: RabbitmqPorts,
  { quorumTickMs = 200 }: RabbitmqOptions,
): NodeJS.ProcessEnv {
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
    RABBITMQ_SCHEDULER_BIND_TYPE: 'u',
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `+S 2:2 -kernel inet_dist_use_interface {127,0,0,1} -rabbit quorum_tick_interval ${quorumTickMs}`,
  };
}

/** As docs/security.md has it. */
async function withTls({ cert, key }: KeyPair, folder: string, port: number): Promise<string[]> {
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  await writeFile(files.cert, cert);
  await writeFile(files.key, key);
  return [
    `listeners.ssl.default = 127.0.0.1:${port}`,
    `ssl_options.certfile = ${files.cert}`,
    `ssl_options.keyfile = ${files.key}`,
    'ssl_options.verify = verify_none',
  ];
}
