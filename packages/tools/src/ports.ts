/** The ports of `npm start` on 127.0.0.1: read from the environment, and looked at before anything starts. */
import { once } from 'node:events';
import { createServer } from 'node:net';
import { findRunningSystems } from '../../../bin/plain/running-systems.mjs';
import { UserError } from '../../../bin/plain/user-error.mjs';

/** A port with the variable that changes it. */
export type NamedPort = [name: string, port: number];

/**
 * Each port as its variable says, or its default moved by `offset`.
 *
 * @throws UserError names the variable that is no port
 */
export function readPorts<P extends Record<string, number>>(
  env: NodeJS.ProcessEnv,
  defaults: P,
  offset = 0,
): P {
  const entries = Object.entries(defaults).map(([name, port]) => [
    name,
    toPort(name, env[name] || port + offset),
  ]);
  return Object.fromEntries(entries) as P;
}

function toPort(name: string, value: string | number) {
  const port = Number(value);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new UserError(`${name} must be a port from 1 to 65535 and is ${value}`);
}

/** @throws UserError names what uses ports of these, or the ports and the variables that change them, and what to do */
export async function checkAreFree(ports: NamedPort[]): Promise<void> {
  checkDiffer(ports);
  const taken: NamedPort[] = [];
  for (const named of ports) if (await isTaken(named)) taken.push(named);
  if (taken.length === 0) return;
  const isTakenBy = (others: number[]) => taken.some(([, port]) => others.includes(port));
  const running = findRunningSystems().find((system) => isTakenBy(system.ports));
  if (running)
    throw new UserError(
      `Waybill already runs (pid ${running.pid}, ${running.publicUrl}/): stop it, or start another beside it with --port-offset 100`,
    );
  throw new UserError(taken.length === 1 ? describeOne(taken[0] as NamedPort) : describeMany(taken));
}

function checkDiffer(ports: NamedPort[]) {
  const names = new Map<number, string>();
  for (const [name, port] of ports) {
    const other = names.get(port);
    if (other) throw new UserError(`${other} and ${name} are both ${port}: each needs a port of its own`);
    names.set(port, name);
  }
}

async function isTaken([name, port]: NamedPort): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') return true;
    throw new UserError(`port ${port} cannot be used (${code}): choose another with ${name}=<port>`);
  }
  server.close();
  await once(server, 'close');
  return false;
}

function describeOne([name, port]: NamedPort) {
  const advice =
    name === 'AMQP_PORT' ? ', or set AMQP_URL if that is a RabbitMQ which Waybill shall use' : '';
  return `port ${port} is in use: stop what uses it, or choose another with ${name}=<port>${advice}`;
}

function describeMany(taken: NamedPort[]) {
  const ports = taken.map(([name, port]) => `${port} (${name})`).join(', ');
  return `ports ${ports} are in use: stop what uses them, or move all ports with --port-offset <n>`;
}
