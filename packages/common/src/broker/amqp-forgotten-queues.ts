/**
 * Bindings outlive the services that made them: the queue of a service that was renamed or given up goes on to get what this one
 * handles, and refuses it for all when it is full. AMQP tells nobody of the bindings of others, RabbitMQ's management API does.
 */

import type { Logger } from 'pino';
import { createManagement, isRefusal, type Management, type ManagementOptions } from './amqp-management.ts';
import { EVENTS_EXCHANGE, serviceQueues } from './amqp-topology.ts';

/** The broker may start later than we do. */
const AGAIN_MS = 5_000;

/**
 * Logs, once after the start, each queue of another service that is bound to a type of this one and has no consumers; or
 * that the user may not ask.
 */
export function warnOfForgottenQueues({
  log,
  service,
  types,
  ...options
}: ManagementOptions & { service: string; types: readonly string[]; log: Logger }): void {
  const management = createManagement(options);
  const look = async () => {
    try {
      for (const forgotten of await findForgottenQueues(management, service, types))
        log.warn(
          forgotten,
          'a queue bound to a type of this service has no consumers: is its service retired?',
        );
    } catch (error) {
      if (isRefusal(error))
        return log.warn({ reason: (error as Error).message }, 'the user may not ask the management API');
      log.debug({ err: error }, 'the management API does not answer');
      setTimeout(look, AGAIN_MS).unref();
    }
  };
  void look();
}

async function findForgottenQueues(
  management: Management,
  service: string,
  types: readonly string[],
): Promise<{ queue: string; messages: number }[]> {
  const bindings = await management.bindingsOf(EVENTS_EXCHANGE);
  const names = bindings
    .filter(({ routingKey }) => types.includes(routingKey))
    .map(({ queue }) => queue)
    .filter((name) => name !== serviceQueues(service).work);
  const found = await Promise.all([...new Set(names)].map(management.queue));
  if (found.some(({ consumers }) => consumers === undefined))
    throw new Error('consumers are not counted yet');
  return found
    .filter(({ consumers }) => consumers === 0)
    .map(({ name, messages = 0 }) => ({ queue: name, messages }));
}
