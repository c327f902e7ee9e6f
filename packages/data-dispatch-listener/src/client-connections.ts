/**
 * Connections to the brokers of clients. Streams with the same credentials share one, each with channels of its own;
 * one that nobody uses is closed after a while, and one that failed is replaced when it is next asked for.
 *
 * A broker that cannot be reached keeps a stream that tries it waiting, and there are other clients: after such a failure
 * only a few may try it at once, until one succeeds. What goes wrong with one client's queue holds up nobody else.
 */
import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import type { AllowedBroker } from '@waybill/common/credentials/broker-address.ts';
import { AppError } from '@waybill/common/errors.ts';
import { within } from '@waybill/common/within.ts';
import { TerminalError } from '@waybill/listener/handler.ts';
import { type ChannelModel, connect } from 'amqplib';

const CONNECT_TIMEOUT_MS = 5_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** As towards the system's own broker. */
const HEARTBEAT_S = 5;
/** What amqplib offers brokers, and RabbitMQ's default. amqplib itself would put together frames of 64 MiB. */
const MAX_FRAME_BYTES = 131_072;
/** Longer than a stream takes between two chunks, also while it waits for its client. */
const IDLE_MS = 15_000;
/** Each is a socket, and a few hundred kB at the broker. One that nobody uses makes room. */
const MAX_CONNECTIONS = 500;
/** Of the 64 handlers that run at once by default. */
const MAX_TRIES_AT_SUSPECT = 4;

/** A broker, and who one is there. */
export type ClientBroker = AllowedBroker & { user: string; pass: string };

/** What a connection is used with. `blocked` aborts, with the error to end on, when the broker blocks publishers. */
export type UseConnection<T> = (model: ChannelModel, blocked: AbortSignal) => Promise<T>;

export type ClientConnections = {
  /**
   * Runs `use` with the connection to `broker`.
   *
   * @throws TerminalError `client-credentials-refused`; AppError `client-queue-unavailable` when the broker does not
   * answer; AppError `client-queue-busy` when it blocks publishers, others are trying whether it answers, or there are
   * too many connections; or what `use` throws.
   */
  withConnection<T>(broker: ClientBroker, use: UseConnection<T>): Promise<T>;
  close(): Promise<void>;
};

type Entry = {
  opening: Promise<ChannelModel>;
  users: number;
  blocked: AbortController;
  idle?: NodeJS.Timeout;
};

/**
 * Creates the connections of one process.
 *
 * @param options.connectTimeoutMs how long a broker may be silent while it is connected to; all of that may take twice as
 *   long. Default 5 s.
 */
export function createClientConnections({
  connectTimeoutMs = CONNECT_TIMEOUT_MS,
}: {
  connectTimeoutMs?: number;
} = {}): ClientConnections {
  const entries = new Map<string, Entry>();
  const suspects = createSuspects();

  function open(key: string, broker: ClientBroker): Entry {
    if (entries.size >= MAX_CONNECTIONS) makeRoom();
    const entry: Entry = {
      opening: connectTo(broker, connectTimeoutMs),
      users: 0,
      blocked: new AbortController(),
    };
    entries.set(key, entry);
    entry.opening.then(
      (model) => {
        model.on('close', () => forget(key, entry));
        // What is written now would wait there, and arrive however long ago it was given up.
        model.on('blocked', () => entry.blocked.abort(busy('the broker of the client blocks publishers')));
        model.on('unblocked', () => {
          entry.blocked = new AbortController();
        });
      },
      () => forget(key, entry),
    );
    return entry;
  }

  /** Closes the one that has been idle for longest. */
  function makeRoom(): void {
    const [key, entry] = [...entries].find(([, { users }]) => users === 0) ?? [];
    if (!key || !entry) throw busy(`more than ${MAX_CONNECTIONS} connections to clients' brokers`);
    forget(key, entry);
    void closeConnection(entry);
  }

  /** No other stream is given it; those that have it may go on. */
  function forget(key: string, entry: Entry): void {
    if (entries.get(key) === entry) entries.delete(key);
    clearTimeout(entry.idle);
  }

  function release(key: string, entry: Entry): void {
    entry.users -= 1;
    if (entry.users > 0) return;
    if (entries.get(key) !== entry) return void closeConnection(entry);
    // Last in the order of the map, which is that of their last use.
    entries.delete(key);
    entries.set(key, entry);
    entry.idle = setTimeout(() => {
      forget(key, entry);
      void closeConnection(entry);
    }, IDLE_MS).unref();
  }

  async function useEntry<T>(broker: ClientBroker, use: UseConnection<T>): Promise<T> {
    const key = JSON.stringify(broker);
    const entry = entries.get(key) ?? open(key, broker);
    clearTimeout(entry.idle);
    entry.users += 1;
    try {
      const model = await entry.opening;
      entry.blocked.signal.throwIfAborted();
      return await use(model, entry.blocked.signal);
    } catch (error) {
      // Calls on a connection that blocks publishers are not answered.
      entry.blocked.signal.throwIfAborted();
      if (isUnavailable(error)) forget(key, entry);
      throw error;
    } finally {
      release(key, entry);
    }
  }

  return {
    withConnection: (broker, use) => suspects.watch(broker, () => useEntry(broker, use)),
    async close() {
      await Promise.all([...entries.values()].map(closeConnection));
    },
  };
}

/** Nothing answered at the address, with any credentials. */
class NoAnswer extends AppError {}

/** Which brokers did not answer when last connected to, and how many are trying them now. */
function createSuspects() {
  const tries = new Map<string, number>();
  return {
    async watch<T>({ host, port }: ClientBroker, run: () => Promise<T>): Promise<T> {
      const address = `${host}:${port}`;
      const now = tries.get(address);
      if (now !== undefined && now >= MAX_TRIES_AT_SUSPECT)
        throw busy('the broker of the client does not answer, and others are trying it');
      if (now !== undefined) tries.set(address, now + 1);
      try {
        const result = await run();
        tries.delete(address);
        return result;
      } catch (error) {
        if (error instanceof NoAnswer && !tries.has(address)) tries.set(address, 0);
        throw error;
      } finally {
        const left = tries.get(address);
        if (now !== undefined && left !== undefined) tries.set(address, Math.max(0, left - 1));
      }
    },
  };
}

function isUnavailable(error: unknown): boolean {
  return error instanceof AppError && error.code === 'client-queue-unavailable';
}

function busy(message: string): AppError {
  return new AppError('client-queue-busy', message);
}

/** The object form of `connect`: in a URL a host such as `host/?heartbeat=0` would override settings. */
async function connectTo(
  { host, port, isTls, user, pass }: ClientBroker,
  timeoutMs: number,
): Promise<ChannelModel> {
  const late = new AbortController();
  const connecting = connect(
    {
      ...{ protocol: isTls ? 'amqps' : 'amqp', hostname: host, port, username: user, password: pass },
      ...{ heartbeat: HEARTBEAT_S, maxFrameSize: MAX_FRAME_BYTES },
    },
    {
      ...{ noDelay: true, timeout: timeoutMs, signal: late.signal },
      clientProperties: { connection_name: 'data-dispatch' },
    },
  );
  connecting.then(watch, () => {});
  try {
    // amqplib's own timeout is one of silence.
    if (await within(2 * timeoutMs, connecting)) return await connecting;
  } catch (error) {
    throw toConnectError(error as Error);
  }
  // A broker that sends a byte now and then would keep the socket for as long as it likes.
  late.abort();
  throw toConnectError(new Error('it did not answer in time'));
}

function watch(model: ChannelModel): void {
  model.on('error', () => {});
  // After a heartbeat timeout amqplib leaves the socket open.
  model.on('close', () => breakConnection(model, new Error('closed')));
}

/** Says nothing of the credentials; amqplib's own messages do not either. */
function toConnectError(error: Error): Error {
  if (/ACCESS.REFUSED/.test(error.message))
    return new TerminalError('client-credentials-refused', "the client's broker refuses its credentials");
  const message = 'the broker of the client cannot be reached';
  // The broker closed the connection in answer to the choice of the virtual host, and amqplib does not say why.
  if (/ConnectionOpenOk/.test(error.message))
    return new AppError(
      'client-queue-unavailable',
      `${message}: it refuses the connection (no access to its default virtual host, or too many connections)`,
    );
  const reason = (error as { code?: string }).code ?? error.message;
  return new NoAnswer('client-queue-unavailable', `${message}: ${reason}`);
}

async function closeConnection({ opening, idle }: Entry): Promise<void> {
  clearTimeout(idle);
  const model = await opening.catch(() => undefined);
  if (!model) return;
  const isClosed = await within(CLOSE_TIMEOUT_MS, model.close()).catch(() => false);
  if (!isClosed) breakConnection(model, new Error('close timed out'));
}
