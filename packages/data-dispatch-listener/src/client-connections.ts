/**
 * Connections to the brokers of clients. Streams with the same credentials share one, each with channels of its own;
 * one that nobody uses is closed after a while, and a broken one is replaced when it is next asked for.
 */

import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import { AppError } from '@waybill/common/errors.ts';
import { within } from '@waybill/common/within.ts';
import { TerminalError } from '@waybill/listener/handler.ts';
import { type ChannelModel, connect } from 'amqplib';

const CONNECT_TIMEOUT_MS = 5_000;
const CLOSE_TIMEOUT_MS = 1_000;
/** As towards the system's own broker. */
const HEARTBEAT_S = 5;
/** Longer than a stream takes between two chunks, also while it waits for its client. */
const IDLE_MS = 15_000;
/** Each is a socket, a few hundred kB at the broker, and a client with credentials of its own. */
const MAX_CONNECTIONS = 500;

/** A broker, and who one is there. */
export type ClientBroker = { host: string; port: number; user: string; pass: string };

export type ClientConnections = {
  /**
   * Runs `use` with the connection to `broker`.
   *
   * @throws TerminalError `client-credentials-refused`, or AppError `client-queue-unavailable` when the broker does
   * not answer, blocks publishers, or there are too many connections; or what `use` throws.
   */
  withConnection<T>(broker: ClientBroker, use: (model: ChannelModel) => Promise<T>): Promise<T>;
  close(): Promise<void>;
};

type Entry = { opening: Promise<ChannelModel>; users: number; isBlocked: boolean; idle?: NodeJS.Timeout };

/** Creates the connections of one process. */
export function createClientConnections(): ClientConnections {
  const entries = new Map<string, Entry>();

  function open(key: string, broker: ClientBroker): Entry {
    if (entries.size >= MAX_CONNECTIONS)
      throw new AppError(
        'client-queue-unavailable',
        `more than ${MAX_CONNECTIONS} connections to clients' brokers`,
      );
    const forget = () => {
      if (entries.get(key) === entry) entries.delete(key);
      clearTimeout(entry.idle);
    };
    const entry: Entry = { opening: connectTo(broker), users: 0, isBlocked: false };
    entries.set(key, entry);
    entry.opening.then((model) => {
      model.on('close', forget);
      model.on('blocked', () => {
        entry.isBlocked = true;
      });
      model.on('unblocked', () => {
        entry.isBlocked = false;
      });
    }, forget);
    return entry;
  }

  function release(key: string, entry: Entry): void {
    entry.users -= 1;
    if (entry.users > 0 || entries.get(key) !== entry) return;
    entry.idle = setTimeout(() => {
      entries.delete(key);
      void closeConnection(entry);
    }, IDLE_MS).unref();
  }

  return {
    async withConnection(broker, use) {
      const key = JSON.stringify(broker);
      const entry = entries.get(key) ?? open(key, broker);
      clearTimeout(entry.idle);
      entry.users += 1;
      try {
        const model = await entry.opening;
        // What is written now would wait there, and arrive however long ago it was given up.
        if (entry.isBlocked)
          throw new AppError('client-queue-unavailable', 'the broker of the client blocks publishers');
        return await use(model);
      } finally {
        release(key, entry);
      }
    },
    async close() {
      await Promise.all([...entries.values()].map(closeConnection));
    },
  };
}

/** The object form of `connect`: in a URL a host such as `host/?heartbeat=0` would override settings. */
async function connectTo({ host, port, user, pass }: ClientBroker): Promise<ChannelModel> {
  try {
    const model = await connect(
      { hostname: host, port, username: user, password: pass, heartbeat: HEARTBEAT_S },
      { noDelay: true, timeout: CONNECT_TIMEOUT_MS, clientProperties: { connection_name: 'data-dispatch' } },
    );
    model.on('error', () => {});
    // After a heartbeat timeout amqplib leaves the socket open.
    model.on('close', () => breakConnection(model, new Error('closed')));
    return model;
  } catch (error) {
    throw toConnectError(error as Error);
  }
}

/** Says nothing of the credentials; amqplib's own messages do not either. */
function toConnectError(error: Error): Error {
  if (/ACCESS.REFUSED|NOT_ALLOWED/.test(error.message))
    return new TerminalError('client-credentials-refused', "the client's broker refuses its credentials");
  const reason = (error as { code?: string }).code ?? error.message;
  return new AppError('client-queue-unavailable', `the broker of the client cannot be reached: ${reason}`);
}

async function closeConnection({ opening }: Entry): Promise<void> {
  const model = await opening.catch(() => undefined);
  if (!model) return;
  const isClosed = await within(CLOSE_TIMEOUT_MS, model.close()).catch(() => false);
  if (!isClosed) breakConnection(model, new Error('close timed out'));
}
