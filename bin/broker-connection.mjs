/** A connection of a program here to a broker. */
import { readFileSync } from 'node:fs';
import { connect } from 'amqplib';
import { UserError } from './user-error.mjs';

const CONNECT_TIMEOUT_MS = 5_000;
const CLOSE_TIMEOUT_MS = 2_000;
const HEARTBEAT_S = 10;

/** @typedef {ReturnType<typeof toBroker>} Broker */
/** @typedef {Awaited<ReturnType<typeof connectToBroker>>} Connection */

/**
 * The broker's URL as the services find it.
 *
 * @param {NodeJS.ProcessEnv} env
 */
export function defaultBrokerUrl({ AMQP_URL, AMQP_URL_FILE }) {
  if (AMQP_URL || !AMQP_URL_FILE) return AMQP_URL || 'amqp://guest:guest@localhost:5672';
  try {
    return readFileSync(AMQP_URL_FILE, 'utf8').trim();
  } catch (error) {
    throw new UserError(`AMQP_URL_FILE: ${/** @type {Error} */ (error).message}`);
  }
}

/**
 * Query parameters are ignored, as the services do.
 *
 * @param {string} text `amqp://user:password@host:port/vhost`, or `amqps:`
 * @throws {UserError} that does not repeat the URL: it may hold a password
 */
export function toBroker(text) {
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
 * @param {Broker} broker
 * @param {string} name shown by the broker
 * @throws {UserError} names the broker, never the password
 */
export async function connectToBroker(broker, name) {
  const model = await open(broker, name);
  /** @type {Error | undefined} */
  let broken;
  /** @param {Error} [error] */
  function onBroken(error) {
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
     * @param {unknown} error
     * @returns {unknown} what to throw instead
     */
    explain(error) {
      if (broken === undefined || error instanceof UserError) return error;
      return new UserError(`the broker ended it: ${broken.message}`);
    },
    /**
     * Ends the connection, also to a broker that does not answer. Never rejects.
     *
     * @param {import('amqplib').Channel} [channel] closed first: RabbitMQ forgets the last acks when it ends with its
     * connection (measured with 3.10: 10 of 10 messages came back)
     */
    async close(channel) {
      /** @type {NodeJS.Timeout | undefined} */
      let timer;
      const late = new Promise((resolve) => {
        timer = setTimeout(resolve, CLOSE_TIMEOUT_MS);
      });
      await Promise.race([closed(model, channel), late]);
      clearTimeout(timer);
      /** @type {any} */ (model.connection).stream.destroy();
    },
  };
}

/**
 * @param {import('amqplib').ChannelModel} model
 * @param {import('amqplib').Channel} [channel]
 */
async function closed(model, channel) {
  try {
    await channel?.close();
    await model.close();
  } catch {
    // it was closed already
  }
}

/**
 * @param {Broker} broker
 * @param {string} name
 */
async function open(broker, name) {
  const where = `${broker.hostname}:${broker.port}`;
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
    const { code, message } = /** @type {NodeJS.ErrnoException} */ (error);
    if (/ACCESS.REFUSED/.test(message))
      throw new UserError(`the broker at ${where} refuses user ${broker.username}: is the password right?`);
    if (/NOT.ALLOWED/.test(message))
      throw new UserError(
        `the broker at ${where} has no virtual host ${broker.vhost} for ${broker.username}`,
      );
    if (code === 'ECONNREFUSED') throw new UserError(`no broker listens at ${where}: name one with --amqp`);
    throw new UserError(`the broker at ${where} cannot be reached: ${message || code}`);
  }
}
