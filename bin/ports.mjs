/** The ports of `npm start` on 127.0.0.1: read from the environment, and looked at before anything starts. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { UserError } from './user-error.mjs';

/**
 * Each port as its variable says, or its default.
 *
 * @template {Record<string, number>} P
 * @param {NodeJS.ProcessEnv} env
 * @param {P} defaults
 * @returns {P}
 * @throws {UserError} names the variable that is no port
 */
export function readPorts(env, defaults) {
  const entries = Object.entries(defaults).map(([name, port]) => [name, toPort(name, env[name] || port)]);
  return Object.fromEntries(entries);
}

/**
 * @param {string} name
 * @param {string | number} value
 */
function toPort(name, value) {
  const port = Number(value);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new UserError(`${name} must be a port from 1 to 65535 and is ${value}`);
}

/**
 * @param {[string, number][]} ports each with the variable that changes it
 * @throws {UserError} names the port that cannot be used, and what to do
 */
export async function checkAreFree(ports) {
  /** @type {Map<number, string>} */
  const names = new Map();
  for (const [name, port] of ports) {
    const other = names.get(port);
    if (other) throw new UserError(`${other} and ${name} are both ${port}: each needs a port of its own`);
    names.set(port, name);
    await checkIsFree(name, port);
  }
}

/**
 * @param {string} name
 * @param {number} port
 */
async function checkIsFree(name, port) {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code !== 'EADDRINUSE')
      throw new UserError(`port ${port} cannot be used (${code}): choose another with ${name}=<port>`);
    const advice =
      name === 'AMQP_PORT' ? ', or set AMQP_URL if that is a RabbitMQ which Waybill shall use' : '';
    throw new UserError(
      `port ${port} is in use: stop what uses it, or choose another with ${name}=<port>${advice}`,
    );
  }
  server.close();
  await once(server, 'close');
}
