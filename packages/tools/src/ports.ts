/** The ports of `npm start` on 127.0.0.1: read from the environment, and looked at before anything starts. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { UserError } from '../../../bin/plain/user-error.mjs';

/**
 * Each port as its variable says, or its default.
 *
 * @throws UserError names the variable that is no port
 */
export function readPorts<P extends Record<string, number>>(env: NodeJS.ProcessEnv, defaults: P): P {
  const entries = Object.entries(defaults).map(([name, port]) => [name, toPort(name, env[name] || port)]);
  return Object.fromEntries(entries) as P;
}

function toPort(name: string, value: string | number) {
  const port = Number(value);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new UserError(`${name} must be a port from 1 to 65535 and is ${value}`);
}

/**
 * @param ports each with the variable that changes it
 * @throws UserError names the port that cannot be used, and what to do
 */
export async function checkAreFree(ports: [string, number][]): Promise<void> {
  const names = new Map<number, string>();
  for (const [name, port] of ports) {
    const other = names.get(port);
    if (other) throw new UserError(`${other} and ${name} are both ${port}: each needs a port of its own`);
    names.set(port, name);
    await checkIsFree(name, port);
  }
}

async function checkIsFree(name: string, port: number) {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
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
