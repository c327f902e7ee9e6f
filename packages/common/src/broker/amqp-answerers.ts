/**
 * Who answers which type, be it running or not: what services have declared stays at the broker, and AMQP lists no bindings,
 * but RabbitMQ's management API does.
 */
import type { Logger } from 'pino';
import { createManagement, isRefusal, type ManagementOptions } from './amqp-management.ts';
import { serviceOfTypes, TYPES_EXCHANGE } from './amqp-topology.ts';

/** One service of those that have declared that they answer a type, by the type. Never rejects; none while nobody knows. */
export type FindAnswerers = () => Promise<Record<string, string>>;

/** Creates a {@link FindAnswerers}. A user who may not ask is told of once, and asks no more. */
export function createFindAnswerers({ log, ...options }: ManagementOptions & { log: Logger }): FindAnswerers {
  const management = createManagement(options);
  let isRefused = false;

  return async () => {
    if (isRefused) return {};
    try {
      const bindings = await management.bindingsOf(TYPES_EXCHANGE);
      return Object.fromEntries(bindings.map(({ queue, routingKey }) => [routingKey, serviceOfTypes(queue)]));
    } catch (error) {
      isRefused = isRefusal(error);
      if (isRefused)
        log.warn({ reason: (error as Error).message }, 'the user may not ask the management API');
      else log.debug({ err: error }, 'the management API does not answer');
      return {};
    }
  };
}
