/** What only RabbitMQ's management API tells: which queues there are, and what they are bound to. */
import { OBSERVED_EXCHANGE, TYPES_EXCHANGE } from '@waybill/common/broker/amqp-topology.ts';
import { UserError } from '../../../bin/plain/user-error.mjs';
import type { Broker } from './broker-connection.ts';

const TIMEOUT_MS = 5_000;

export type ManagedBroker = {
  /** The names of Waybill's queues. */
  queues: string[];
  /** The queue of a service, by the types that it is bound to. */
  answered: { type: string; queue: string }[];
  observed: { type: string; queue: string }[];
};

/**
 * @param url without `/api`; may hold a user of its own, else that of the broker asks
 * @throws UserError when the API cannot be asked, without the password
 */
export async function readManagement(url: string, broker: Broker): Promise<ManagedBroker> {
  const vhost = encodeURIComponent(broker.vhost);
  const { origin, pathname, username, password } = new URL(url);
  const api = `${origin}${pathname.replace(/\/+$/, '')}/api`;
  const user = username
    ? { username: decodeURIComponent(username), password: decodeURIComponent(password) }
    : broker;
  const get = (path: string) => getJson(`${api}/${path}`, user);
  const bindingsOf = async (exchange: string) => {
    const bindings = (await get(`exchanges/${vhost}/${exchange}/bindings/source`)) as Binding[];
    return bindings
      .filter(({ destination_type }) => destination_type === 'queue')
      .map(({ routing_key, destination }) => ({ type: routing_key, queue: destination }));
  };
  const queues = (await get(`queues/${vhost}?columns=name`)) as { name: string }[];
  return {
    queues: queues.map(({ name }) => name).filter((name) => name.startsWith('waybill.')),
    answered: await bindingsOf(TYPES_EXCHANGE),
    observed: await bindingsOf(OBSERVED_EXCHANGE),
  };
}

type Binding = { destination: string; destination_type: string; routing_key: string };

async function getJson(
  url: string,
  { username, password }: Pick<Broker, 'username' | 'password'>,
): Promise<unknown> {
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
  const { origin } = new URL(url);
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS);
    const response = await fetch(url, { headers: { authorization }, signal });
    if (response.ok) return await response.json();
    throw new UserError(`the management API at ${origin} answered ${response.status} to user ${username}`);
  } catch (error) {
    if (error instanceof UserError) throw error;
    throw new UserError(`the management API at ${origin} cannot be asked: ${(error as Error).message}`);
  }
}
