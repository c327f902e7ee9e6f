/**
 * An AMQP 0-9-1 broker with RabbitMQ's extensions and manners, in memory, on loopback: for development and tests
 * only. Nothing outlives it, and it has neither TLS nor permissions.
 */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { AmqpError } from './amqp-error.ts';
import { type Connection, createConnection } from './connection.ts';
import { type Log, silentLog } from './log.ts';
import { createMemory } from './memory.ts';
import { createVhost, depthsOf, type Vhost } from './vhost.ts';

export type EmbeddedBroker = {
  /** `amqp://user:password@host:port`, of the first user. */
  url: string;
  port: number;
  createVhost(name: string): void;
  /** Removes it with all that is in it, and cuts the connections to it. */
  deleteVhost(name: string): void;
  /** The depth of each queue by its name. */
  queues(vhost?: string): Record<string, { ready: number; unacked: number }>;
  /** Closes every connection, or those to one virtual host, with CONNECTION_FORCED; how many there were. */
  closeConnections(vhost?: string): number;
  /** Another memory limit; 0 blocks every publisher, as a memory alarm does. */
  setMemoryLimitBytes(limitBytes: number): void;
  /** Tells the clients, closes their connections and frees the port. */
  close(): Promise<void>;
};

export type EmbeddedBrokerOptions = {
  /** Default `127.0.0.1`. */
  host?: string;
  /** Default 0: a free one. */
  port?: number;
  /** Passwords by user; default `guest` with password `guest`. */
  users?: Record<string, string>;
  /** Virtual hosts that are there from the start; default `/`. */
  vhosts?: string[];
  /** How much all messages may hold before publishers are blocked; default 512 MiB. */
  memoryLimitBytes?: number;
  /** Default: silence. */
  log?: Log;
};

const MEMORY_LIMIT_BYTES = 512 * 1024 * 1024;

/**
 * Starts a broker and resolves when it takes connections. Rejects with the error of `listen` where it cannot.
 *
 * @example
 * const broker = await createEmbeddedBroker({});
 * const connection = await amqplib.connect(broker.url);
 */
export async function createEmbeddedBroker({
  host = '127.0.0.1',
  port = 0,
  users = { guest: 'guest' },
  vhosts: vhostNames = ['/'],
  memoryLimitBytes = MEMORY_LIMIT_BYTES,
  log = silentLog,
}: EmbeddedBrokerOptions = {}): Promise<EmbeddedBroker> {
  const memory = createMemory(memoryLimitBytes);
  const vhosts = new Map<string, Vhost>();
  const connections = new Set<Connection>();
  const addVhost = (name: string) => void vhosts.set(name, createVhost({ name, memory }));
  for (const name of vhostNames) addVhost(name);

  const server = createServer({ noDelay: true, allowHalfOpen: false }, (socket) => {
    const onClosed = () => connections.delete(connection);
    const connection = createConnection({ socket, users, vhosts, memory, log, onClosed });
    connections.add(connection);
  });
  const address = await listen(server, host, port);

  const connectionsTo = (vhost?: string) =>
    [...connections].filter((connection) => vhost === undefined || connection.vhost()?.name === vhost);

  return {
    url: urlOf(users, host, address.port),
    port: address.port,
    createVhost(name) {
      if (!vhosts.has(name)) addVhost(name);
    },
    deleteVhost(name) {
      for (const connection of connectionsTo(name)) connection.destroy();
      vhosts.get(name)?.close();
      vhosts.delete(name);
    },
    queues(name = '/') {
      const vhost = vhosts.get(name);
      return vhost ? depthsOf(vhost) : {};
    },
    closeConnections(vhost) {
      const closed = connectionsTo(vhost);
      for (const connection of closed) connection.close(forced('Closed via management plugin'));
      return closed.length;
    },
    setMemoryLimitBytes: memory.setLimitBytes,
    async close() {
      server.close();
      for (const connection of connections)
        connection.close(forced(`broker forced connection closure with reason 'shutdown'`));
      if (connections.size > 0 || server.listening) await once(server, 'close');
      for (const vhost of vhosts.values()) vhost.close();
    },
  };
}

async function listen(server: Server, host: string, port: number): Promise<AddressInfo> {
  server.listen(port, host);
  await once(server, 'listening');
  return server.address() as AddressInfo;
}

function urlOf(users: Record<string, string>, host: string, port: number): string {
  const [[user, password] = ['', '']] = Object.entries(users);
  const authority = host.includes(':') ? `[${host}]` : host;
  return `amqp://${encodeURIComponent(user)}:${encodeURIComponent(password)}@${authority}:${port}`;
}

function forced(reason: string): AmqpError {
  return new AmqpError('CONNECTION_FORCED', reason);
}
