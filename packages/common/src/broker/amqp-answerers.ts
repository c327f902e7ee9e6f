/**
 * Who answers which type, be it running or not: what services have declared stays at the broker, and AMQP lists no bindings,
 * but RabbitMQ's management API does.
 */
import type { Logger } from 'pino';
import { createManagement, isRefusal, type ManagementOptions } from './amqp-management.ts';
import { serviceOfTypes, TYPES_EXCHANGE } from './amqp-topology.ts';

/** For how long an answer is good, or that there was none: many ask, some each second, and the API lists every binding. */
const KEPT_MS = 5_000;
/** For how long a refusal is: the user may be given the tag, or not be there yet while a broker starts. */
const REFUSED_MS = 60_000;

/** The services that have declared that they answer a type, by the type. Never rejects; undefined while nobody knows. */
export type FindAnswerers = () => Promise<Record<string, string[]> | undefined>;

/** Creates a {@link FindAnswerers}. That the user may not ask is told once. */
export function createFindAnswerers({ log, ...options }: ManagementOptions & { log: Logger }): FindAnswerers {
  const management = createManagement(options);
  let kept: ReturnType<FindAnswerers> | undefined;
  let untilMs = 0;
  let isRefused = false;

  async function ask(): ReturnType<FindAnswerers> {
    try {
      const bindings = await management.bindingsOf(TYPES_EXCHANGE);
      isRefused = false;
      const byType = Map.groupBy(bindings, ({ routingKey }) => routingKey);
      return Object.fromEntries(
        [...byType].map(([type, queues]) => [type, queues.map(({ queue }) => serviceOfTypes(queue))]),
      );
    } catch (error) {
      if (isRefusal(error)) noteRefusal(error as Error);
      else log.debug({ err: error }, 'the management API does not answer');
      return undefined;
    }
  }

  function noteRefusal({ message }: Error): void {
    untilMs = performance.now() + REFUSED_MS;
    if (!isRefused) log.warn({ reason: message }, 'the user may not ask the management API');
    isRefused = true;
  }

  return () => {
    if (kept && performance.now() < untilMs) return kept;
    untilMs = performance.now() + KEPT_MS;
    kept = ask();
    return kept;
  };
}
