/**
 * One AMQP connection that comes back by itself.
 *
 * There is a single way to recover: whatever breaks (socket, heartbeat, channel error, failed setup) ends the
 * connection, and amqplib's recovery opens the next one and runs `setup` on it. Every wait of amqplib that has no
 * timeout of its own (setup, close) gets one here that destroys the socket.
 */
import { type Channel, type ChannelModel, connect, type Options, type RecoveringChannelModel } from 'amqplib';
import type { Logger } from 'pino';
import { reconnects } from '../metrics.ts';
import type { Topology } from './topology.ts';

const CONNECT_TIMEOUT_MS = 5_000;
const SETUP_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** A peer is given up after two silent intervals, so within 15 s; measured 9 s (faults.md). */
const HEARTBEAT_S = 5;
/** Thundering reconnect: full jitter under a cap (faults.md). The first try comes within 50 ms. */
const RECONNECT_BASE_MS = 50;
const RECONNECT_CAP_MS = 5_000;

export type AmqpConnectionOptions = {
  /** `amqp://user:password@host:port/vhost`, or `amqps:`. Query parameters are ignored. */
  url: string;
  /** Shown by the broker as `connection_name`. */
  name: string;
  topology: Topology;
  log: Logger;
  /** Opens this connection's channels, on every connect, after the topology is declared. */
  setup(model: ChannelModel): Promise<void>;
  /** The connection is gone, with every channel of it. */
  onDisconnect?(): void;
  onBlocked?(isBlocked: boolean): void;
};

export type AmqpConnection = {
  isConnected(): boolean;
  /** Opens a channel on the present connection, runs `use` on it and closes it. */
  withChannel(use: (channel: Channel) => Promise<void>): Promise<void>;
  close(): Promise<void>;
};

/** Starts connecting and returns at once. */
export async function createAmqpConnection(options: AmqpConnectionOptions): Promise<AmqpConnection> {
  const { log, name } = options;
  let current: ChannelModel | undefined;

  const recovering = await connect(connectOptions(options.url), {
    noDelay: true,
    timeout: CONNECT_TIMEOUT_MS,
    clientProperties: { connection_name: name },
    recovery: {
      waitForConnect: false,
      calculateDelay: (attempt) =>
        Math.random() * Math.min(RECONNECT_CAP_MS, RECONNECT_BASE_MS * 2 ** Math.min(attempt - 1, 10)),
      setup: (model: ChannelModel) => runSetup(model, options),
    },
  });
  recovering.on('connect', (model) => {
    current = model;
    log.info({ connection: name }, 'connected to the broker');
  });
  recovering.on('disconnect', (error) => {
    current = undefined;
    reconnects.add(1);
    log.warn({ connection: name, reason: error.message }, 'connection to the broker lost');
    options.onDisconnect?.();
  });
  logFailedAttempts(recovering, options);
  recovering.on('blocked', (reason) => {
    log.warn({ connection: name, reason }, 'the broker blocks publishers');
    options.onBlocked?.(true);
  });
  recovering.on('unblocked', () => options.onBlocked?.(false));
  recovering.on('error', (error) => log.debug({ connection: name, err: error }, 'connection error'));

  return {
    isConnected: () => current !== undefined,
    async withChannel(use) {
      const channel = await recovering.createChannel();
      channel.on('error', () => {});
      await use(channel);
      await channel.close();
    },
    close: () => closeWithin(recovering, current),
  };
}

/** Ends the connection from our side, so that recovery replaces it. Safe to call on a dead one. */
export function breakConnection(model: ChannelModel, reason: Error): void {
  socketOf(model).destroy(reason);
}

/** Declares `topology`. Each declaration is idempotent. */
export async function declareTopology(channel: Channel, topology: Topology): Promise<void> {
  for (const { name, type } of topology.exchanges)
    await channel.assertExchange(name, type, { durable: true });
  for (const queue of topology.queues)
    await channel.assertQueue(queue.name, { durable: true, arguments: queue.arguments });
  for (const { queue, exchange, routingKey } of topology.bindings)
    await channel.bindQueue(queue, exchange, routingKey);
}

/**
 * amqplib's recovery attaches its listeners only after setup, so a connection that dies meanwhile would throw
 * uncaught, or count as connected for ever. Hence the listeners first, and the last channel as proof of life.
 */
async function runSetup(model: ChannelModel, { setup, topology, log }: AmqpConnectionOptions): Promise<void> {
  model.on('error', () => {});
  // After a heartbeat timeout amqplib leaves the socket open.
  model.on('close', () => socketOf(model).destroy());
  const timer = setTimeout(() => breakConnection(model, new Error('setup timed out')), SETUP_TIMEOUT_MS);
  try {
    const channel = await model.createChannel();
    channel.on('error', (error) => log.error({ err: error }, 'declaring the topology failed'));
    await declareTopology(channel, topology);
    await setup(model);
    await channel.close();
  } catch (error) {
    // close() would wait for an answer that a dead peer never gives.
    breakConnection(model, error as Error);
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

/** One warning when the broker goes, then silence until it is back: it may be gone for hours. */
function logFailedAttempts(recovering: RecoveringChannelModel, { log, name }: AmqpConnectionOptions): void {
  let hasWarned = false;
  recovering.on('connect', () => {
    hasWarned = false;
  });
  recovering.on('connect-failed', (error) => {
    const level = hasWarned ? 'debug' : 'warn';
    hasWarned = true;
    log[level]({ connection: name, reason: error.message }, 'cannot connect to the broker, trying again');
  });
}

async function closeWithin(
  recovering: RecoveringChannelModel,
  model: ChannelModel | undefined,
): Promise<void> {
  const timer = setTimeout(() => {
    if (model) breakConnection(model, new Error('close timed out'));
  }, CLOSE_TIMEOUT_MS);
  await recovering.close();
  clearTimeout(timer);
}

/** The object form, because the string form lets `?heartbeat=0` and the like override our settings. */
function connectOptions(url: string): Options.Connect {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  return {
    protocol: protocol.slice(0, -1),
    hostname: hostname.replace(/^\[|\]$/g, ''),
    ...(port ? { port: Number(port) } : {}),
    ...(username || password
      ? { username: decodeURIComponent(username), password: decodeURIComponent(password) }
      : {}),
    vhost: decodeURIComponent(pathname.slice(1)) || '/',
    heartbeat: HEARTBEAT_S,
  };
}

/** amqplib's types leave out the socket, which is the only handle on a dead peer. */
function socketOf(model: ChannelModel): { destroy(error?: Error): void } {
  return (model.connection as unknown as { stream: { destroy(error?: Error): void } }).stream;
}
