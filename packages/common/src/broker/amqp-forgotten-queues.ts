/**
 * Bindings outlive the services that made them: the queue of a service that was renamed or given up goes on to get what this one
 * handles, and refuses it for all when it is full. AMQP tells nobody of the bindings of others, RabbitMQ's management API does.
 */

import type { Logger } from 'pino';
import { EVENTS_EXCHANGE, serviceQueues } from './amqp-topology.ts';

const CALL_TIMEOUT_MS = 5_000;
/** The broker may start later than we do. */
const AGAIN_MS = 5_000;
/** A wrong user, or one without the tag: asked again, it would answer the same. */
const REFUSALS: unknown[] = [401, 403];

/**
 * Logs, once after the start, each queue of another service that is bound to a type of this one and has no consumers; or
 * that the user may not ask.
 *
 * @param options.managementUrl the API, without `/api`; user, password and virtual host are those of `amqpUrl`. The user
 * needs the tag `management`.
 */
export function warnOfForgottenQueues(options: {
  managementUrl: string;
  amqpUrl: string;
  service: string;
  types: readonly string[];
  log: Logger;
}): void {
  const { log } = options;
  const look = async () => {
    try {
      for (const forgotten of await findForgottenQueues(options))
        log.warn(
          forgotten,
          'a queue bound to a type of this service has no consumers: is its service retired?',
        );
    } catch (error) {
      if (REFUSALS.includes((error as Error).cause))
        return log.warn({ reason: (error as Error).message }, 'the user may not ask the management API');
      log.debug({ err: error }, 'the management API does not answer');
      setTimeout(look, AGAIN_MS).unref();
    }
  };
  void look();
}

async function findForgottenQueues({
  managementUrl,
  amqpUrl,
  service,
  types,
}: Parameters<typeof warnOfForgottenQueues>[0]): Promise<{ queue: string; messages: number }[]> {
  const { username, password, pathname } = new URL(amqpUrl);
  const vhost = pathname.slice(1) || '%2F';
  const credentials = [username || 'guest', password || 'guest'].map(decodeURIComponent).join(':');
  const get = async (path: string): Promise<unknown> => {
    const response = await fetch(`${managementUrl}/api/${path}`, {
      headers: { authorization: `Basic ${Buffer.from(credentials).toString('base64')}` },
      signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
    });
    if (!response.ok)
      throw new Error(`the management API answered ${response.status}`, { cause: response.status });
    return response.json();
  };

  const bindings = (await get(`exchanges/${vhost}/${EVENTS_EXCHANGE}/bindings/source`)) as Binding[];
  const names = bindings
    .filter(
      ({ routing_key, destination_type }) => destination_type === 'queue' && types.includes(routing_key),
    )
    .map(({ destination }) => destination)
    .filter((name) => name !== serviceQueues(service).work);
  const queues = [...new Set(names)].map((name) => get(`queues/${vhost}/${encodeURIComponent(name)}`));
  const found = (await Promise.all(queues)) as Queue[];
  if (found.some(({ consumers }) => consumers === undefined))
    throw new Error('consumers are not counted yet');
  return found
    .filter(({ consumers }) => consumers === 0)
    .map(({ name, messages = 0 }) => ({ queue: name, messages }));
}

type Binding = { destination: string; destination_type: string; routing_key: string };
type Queue = { name: string; consumers?: number; messages?: number };
