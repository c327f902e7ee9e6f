/**
 * One AMQP connection that comes back by itself.
 *
 * There is a single way to recover: whatever breaks (socket, heartbeat, channel error, failed setup) ends the
 * connection, and amqplib's recovery opens the next one and runs `setup` on it. Every wait of amqplib that has no
 * timeout of its own (setup, close) gets one here that destroys the socket.
 */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { type ChannelModel, connect, type Options, type RecoveringChannelModel } from 'amqplib';
import type { Logger } from 'pino';
import { backOffMs } from '../back-off.ts';
import { AppError } from '../errors.ts';
import { reconnects } from '../telemetry/metrics.ts';
import { within } from '../within.ts';
import { type ConnectTarget, describeConnectFailure } from './amqp-connect-failure.ts';
import {
  countConsumers,
  declareTopology,
  findMissing,
  letConsumersKnow,
  type Missing,
  namesOf,
  openQuietly,
} from './amqp-declare-topology.ts';
import type { AmqpTopology, Binding } from './amqp-topology.ts';
import type { TopologyWatch } from './topology-watch.ts';

/** Of silence. Whoever has named no broker is told within 5 s. */
const CONNECT_TIMEOUT_MS = 4_000;
const SETUP_TIMEOUT_MS = 10_000;
const CLOSE_TIMEOUT_MS = 2_000;
/** A peer is given up after two silent intervals, so within 15 s; measured 9 s. */
const HEARTBEAT_S = 5;
/**
 * Thundering reconnect: full jitter under a cap. The first try comes within 50 ms. Answering again takes the later of
 * two tiers and what each declares, and all of that at most 5 s (docs/operations.md, A broker outage from outside), so the cap is below that.
 */
const RECONNECT_BASE_MS = 50;
const RECONNECT_CAP_MS = 3_000;

export type AmqpClientOptions = {
  /** `amqp://user:password@host:port/vhost`, or `amqps:`. Query parameters are ignored. */
  url: string;
  /** Shown by the broker in `connection_name`. */
  name: string;
  topology: AmqpTopology;
  /** Is told why there is no connection, and what of the topology was gone, or cannot be declared. */
  watch?: TopologyWatch;
  log: Logger;
  /** How long declaring the topology and opening channels may take; default 10 s. */
  setupTimeoutMs?: number;
  /** Default 5 s. */
  heartbeatS?: number;
};

export type AmqpConnectionOptions = AmqpClientOptions & {
  /** Opens this connection's channels, on every connect, after the topology is declared. */
  setup(model: ChannelModel): Promise<void>;
  /** The connection is ready for use, with the channels that `setup` opened last. */
  onConnect?(): void;
  /** The connection is gone, with every channel of it. */
  onDisconnect?(): void;
  onBlocked?(isBlocked: boolean): void;
};

export type AmqpConnection = {
  /**
   * Declares the topology again, on the present connection.
   *
   * @throws AppError `broker-unavailable` without a connection, or when that takes longer than `setupTimeoutMs`.
   */
  declare(): Promise<void>;
  /** How many consume a queue; undefined where there is none. Throws as {@link declare} does. */
  consumersOf(queue: string): Promise<number | undefined>;
  /** Removes bindings, as {@link declare} adds them. */
  unbind(bindings: readonly Binding[]): Promise<void>;
  close(): Promise<void>;
};

/** Starts connecting and returns at once. */
export async function createAmqpConnection(options: AmqpConnectionOptions): Promise<AmqpConnection> {
  const { log, name } = options;
  let current: ChannelModel | undefined;
  let opening: ChannelModel | undefined;
  let isClosing = false;
  let hasConnected = false;
  /** The look under way, and the one after it, which callers that ask meanwhile share: what the first saw may be gone. */
  let look: Promise<void> = Promise.resolve();
  let nextLook: Promise<void> | undefined;

  const recovering = await connect(connectOptions(options), {
    noDelay: true,
    timeout: CONNECT_TIMEOUT_MS,
    clientProperties: { connection_name: name },
    recovery: {
      waitForConnect: false,
      calculateDelay: (attempt) => delayMs(options.url, attempt),
      setup: (model: ChannelModel) => {
        opening = model;
        return runSetup(model, { ...options, hasConnected }).finally(() => {
          opening = undefined;
        });
      },
    },
  });
  recovering.on('connect', (model) => {
    current = model;
    hasConnected = true;
    log.info({ connection: name }, 'connected to the broker');
    options.onConnect?.();
  });
  recovering.on('disconnect', (error) => {
    current = undefined;
    // One on a connection that broke may wait for an answer until its time is up.
    look = Promise.resolve();
    nextLook = undefined;
    reconnects.add(1);
    log.warn({ connection: name, reason: error.message }, 'connection to the broker lost');
    options.onDisconnect?.();
  });
  logFailedAttempts(recovering, options, () => isClosing);
  recovering.on('error', (error) => log.debug({ connection: name, err: error }, 'connection error'));

  async function inTime(run: (model: ChannelModel) => Promise<void>): Promise<void> {
    const ms = options.setupTimeoutMs ?? SETUP_TIMEOUT_MS;
    if (current === undefined || !(await within(ms, run(current))))
      throw new AppError('broker-unavailable', 'the broker did not answer');
  }

  function declare(): Promise<void> {
    nextLook ??= look.then(() => {
      nextLook = undefined;
      const present = inTime((model) => keepTopology(model, options));
      look = present.catch(() => {});
      return present;
    });
    return nextLook;
  }

  return {
    declare,
    async consumersOf(queue) {
      let count: number | undefined;
      await inTime(async (model) => {
        count = await countConsumers(model, queue);
      });
      return count;
    },
    unbind: (bindings) => inTime((model) => removeBindings(model, bindings)),
    async close() {
      isClosing = true;
      const model = current ?? opening;
      // What is still being set up would only come to life to be closed, and deliver meanwhile.
      if (opening) breakConnection(opening, new Error('closed while connecting'));
      // amqplib waits for the answer of the peer for ever, even when the connection breaks meanwhile.
      const broken = new Promise((resolve) => model?.once('close', resolve));
      const isInTime = await within(CLOSE_TIMEOUT_MS, Promise.race([recovering.close(), broken]));
      if (!isInTime && model) breakConnection(model, new Error('close timed out'));
      current = undefined;
    },
  };
}

/** When the connections of this process next try, by broker. */
const nextTries = new Map<string, number>();

/**
 * How long to wait after `attempt` failed. Connections of one process wait for the same moment: a listener that could take
 * events long before it could send replies would keep them from the others.
 */
function delayMs(url: string, attempt: number): number {
  const nowMs = performance.now();
  const leftMs = (nextTries.get(url) ?? 0) - nowMs;
  if (leftMs > 0) return leftMs;
  const ms = backOffMs(attempt, { baseMs: RECONNECT_BASE_MS, capMs: RECONNECT_CAP_MS });
  nextTries.set(url, nowMs + ms);
  return ms;
}

/**
 * Restores what is missing of the topology, and says what that was, or why it cannot. A queue that is there is not
 * declared: if it were deleted in that very moment its consumers would not hear of it (see {@link letConsumersKnow}).
 */
async function keepTopology(model: ChannelModel, { topology, watch }: AmqpConnectionOptions): Promise<void> {
  const missing = await restore(model, topology).catch((error) => {
    // With a code it is the broker's answer; without, the connection is gone.
    if (typeof error.code === 'number') watch?.failed(error.message);
    throw error;
  });
  watch?.found(namesOf(missing));
}

async function restore(model: ChannelModel, topology: AmqpTopology): Promise<Missing> {
  const missing = await findMissing(model, topology);
  await letConsumersKnow(missing);
  const channel = await openQuietly(model);
  await declareTopology(channel, { ...topology, queues: missing.queues });
  await channel.close();
  return missing;
}

async function removeBindings(model: ChannelModel, bindings: readonly Binding[]): Promise<void> {
  const channel = await openQuietly(model);
  for (const { queue, exchange, routingKey } of bindings)
    await channel.unbindQueue(queue, exchange, routingKey);
  await channel.close();
}

/** Ends the connection from our side, so that recovery replaces it. Safe to call on a dead one. */
export function breakConnection(model: ChannelModel, reason?: Error): void {
  socketOf(model).destroy(reason);
}

/**
 * amqplib's recovery attaches its listeners only after setup, so a connection that dies meanwhile would throw
 * uncaught, or count as connected for ever. Hence the listeners first, and a look at the end whether it still lives.
 */
async function runSetup(model: ChannelModel, options: SetupOptions): Promise<void> {
  const { setupTimeoutMs = SETUP_TIMEOUT_MS } = options;
  const closed = watchModel(model, options);
  const timer = setTimeout(() => breakConnection(model, new Error('setup timed out')), setupTimeoutMs);
  try {
    // Raced, because closing a channel waits for ever when the connection breaks meanwhile.
    await Promise.race([openChannels(model, options), once(closed, 'abort')]);
    // The same read may have brought the last answer and the end.
    closed.throwIfAborted();
  } catch (error) {
    breakConnection(model, error as Error);
    // amqplib closes the model now, and until it knows that its socket is gone it would wait for an answer, for ever.
    if (!closed.aborted) await once(closed, 'abort');
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

const NOTHING: Missing = { exchanges: [], queues: [] };

type SetupOptions = AmqpConnectionOptions & { hasConnected: boolean };

async function openChannels(
  model: ChannelModel,
  { setup, topology, watch, log, hasConnected }: SetupOptions,
): Promise<void> {
  // At first nothing need be there.
  const missing = hasConnected ? await findMissing(model, topology) : NOTHING;
  await letConsumersKnow(missing);
  const channel = await model.createChannel();
  // Usually a queue of an older version (406): nothing of ours can mend it, so the reason is all that helps.
  channel.on('error', ({ message: reason }) => {
    if (watch) watch.failed(reason);
    else log.error({ reason }, 'declaring the topology failed');
  });
  await declareTopology(channel, topology);
  watch?.found(namesOf(missing));
  await setup(model);
  await channel.close();
}

/** Listens from the start; the signal aborts, with the reason, when the connection is closed. */
function watchModel(model: ChannelModel, { log, name, onBlocked }: AmqpConnectionOptions): AbortSignal {
  const closed = new AbortController();
  model.on('error', () => {});
  model.on('close', (error) => {
    closed.abort(error ?? new Error('closed by the broker'));
    // After a heartbeat timeout amqplib leaves the socket open.
    socketOf(model).destroy();
  });
  model.on('blocked', (reason) => {
    log.warn({ connection: name, reason }, 'the broker blocks publishers');
    onBlocked?.(true);
  });
  model.on('unblocked', () => onBlocked?.(false));
  // The read that brought the end of the handshake may have brought the end of the connection too, which nobody heard.
  if (socketOf(model).writableEnded) closed.abort(new Error('closed by the broker'));
  return closed.signal;
}

/** One warning when the broker goes, then silence until the reason is another: it may be gone for hours. */
function logFailedAttempts(
  recovering: RecoveringChannelModel,
  { log, name, url, watch }: AmqpConnectionOptions,
  isClosing: () => boolean,
): void {
  let told: string | undefined;
  recovering.on('connect', () => {
    told = undefined;
    watch?.connected();
  });
  recovering.on('connect-failed', (error) => {
    const { reason } = describeConnectFailure(error, targetOf(url));
    const level = told === reason || isClosing() ? 'debug' : 'warn';
    told = reason;
    watch?.notConnected(reason);
    log[level]({ connection: name, reason }, 'cannot connect to the broker, trying again');
  });
}

/** Nothing that amqplib takes for granted is left out, as it is for people. */
function targetOf(url: string): ConnectTarget {
  const { protocol, hostname, port, username, pathname } = new URL(url);
  return {
    hostname,
    port: Number(port || (protocol === 'amqps:' ? 5671 : 5672)),
    username: decodeURIComponent(username || 'guest'),
    vhost: decodeURIComponent(pathname.slice(1)) || '/',
  };
}

/** The object form, because the string form lets `?heartbeat=0` and the like override our settings. */
function connectOptions({ url, heartbeatS = HEARTBEAT_S }: AmqpConnectionOptions): Options.Connect {
  const { protocol, hostname, port, username, password, pathname } = new URL(url);
  return {
    protocol: protocol.slice(0, -1),
    hostname: hostname.replace(/^\[|\]$/g, ''),
    ...(port ? { port: Number(port) } : {}),
    ...(username || password
      ? { username: decodeURIComponent(username), password: decodeURIComponent(password) }
      : {}),
    // amqplib decodes it, in the object form as well.
    vhost: pathname.slice(1) || '/',
    heartbeat: heartbeatS,
  };
}

/** Private to amqplib, and the only handle on a dead peer. */
function socketOf(model: ChannelModel): Writable {
  return Reflect.get(model.connection, 'stream');
}
