/** A connection of a program here to a broker. */
import { type ConnectFailure, describeConnectFailure } from '@waybill/common/broker/amqp-connect-failure.ts';
import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import { within } from '@waybill/common/within.ts';
import { type Channel, type ChannelModel, connect } from 'amqplib';
import { UserError } from '../../../bin/plain/user-error.mjs';

/** Of silence, while somebody waits. */
const CONNECT_TIMEOUT_MS = 3_000;
const CLOSE_TIMEOUT_MS = 2_000;
const HEARTBEAT_S = 10;

/** There is no connection. */
export class BrokerError extends UserError {
  readonly failure: ConnectFailure;

  constructor(failure: ConnectFailure) {
    super(
      /^no broker listens/.test(failure.reason) ? `${failure.reason}: name one with --amqp` : failure.reason,
    );
    this.failure = failure;
  }
}

export type Broker = ReturnType<typeof toBroker>;
export type Connection = Awaited<ReturnType<typeof connectToBroker>>;

/**
 * Query parameters are ignored, as the services do.
 *
 * @param text `amqp://user:password@host:port/vhost`, or `amqps:`
 * @throws UserError that does not repeat the URL: it may hold a password
 */
export function toBroker(text: string) {
  try {
    const { protocol, hostname, port, username, password, pathname } = new URL(text);
    if (/^amqps?:$/.test(protocol) && hostname !== '')
      return {
        protocol: protocol.slice(0, -1),
        hostname: hostname.replace(/^\[(.*)\]$/, '$1'),
        port: Number(port || (protocol === 'amqps:' ? 5671 : 5672)),
        username: decodeURIComponent(username || 'guest'),
        password: decodeURIComponent(password || 'guest'),
        vhost: decodeURIComponent(pathname.slice(1)) || '/',
      };
  } catch (error) {
    if (error instanceof URIError)
      throw new UserError(
        "the broker's URL (--amqp or AMQP_URL) has a % that begins no escape: write it as %25",
      );
  }
  throw new UserError("the broker's URL (--amqp or AMQP_URL) is not amqp://user:password@host:port/vhost");
}

/**
 * @param name shown by the broker
 * @throws BrokerError names the broker, never the password
 */
export async function connectToBroker(broker: Broker, name: string) {
  const model = await open(broker, name);
  let broken: Error | undefined;
  function onBroken(error?: Error) {
    broken ??= error ?? new Error('the broker closed the connection');
  }
  model.on('error', onBroken);
  model.on('close', onBroken);
  return {
    model,
    /** For the `error` event of its channels. */
    onBroken,
    /**
     * What fails on a connection that broke fails for that reason.
     *
     * @returns what to throw instead
     */
    explain(error: unknown): unknown {
      if (broken === undefined || error instanceof UserError) return error;
      return new UserError(`the broker ended it: ${broken.message}`);
    },
    /**
     * Ends the connection, also to a broker that does not answer. Never rejects.
     *
     * @param channel closed first: RabbitMQ forgets the last acks when it ends with its connection (measured with 3.10: 10
     *   of 10 messages came back)
     */
    async close(channel?: Channel): Promise<void> {
      await within(CLOSE_TIMEOUT_MS, closed(model, channel));
      breakConnection(model);
    },
  };
}

async function closed(model: ChannelModel, channel?: Channel) {
  try {
    await channel?.close();
    await model.close();
  } catch {
    // it was closed already
  }
}

async function open(broker: Broker, name: string) {
  try {
    // In parts: in a URL the host could change settings.
    return await connect(
      // amqplib decodes the virtual host, in this form as well.
      { ...broker, vhost: encodeURIComponent(broker.vhost), heartbeat: HEARTBEAT_S },
      {
        noDelay: true,
        timeout: CONNECT_TIMEOUT_MS,
        clientProperties: { connection_name: name },
      },
    );
  } catch (error) {
    throw new BrokerError(describeConnectFailure(error as NodeJS.ErrnoException, broker));
  }
}
