import { decodeProperties } from './codec/properties.ts';
import type { Table } from './codec/table.ts';
import { type Exchange, matchingDestinations } from './exchange.ts';
import { type Message, routingKeysOf } from './message.ts';
import type { Queue } from './queue.ts';

type Places = { exchanges: Map<string, Exchange>; queues: Map<string, Queue> };

/** The queues that a message published to `exchange` goes to, each once. The default exchange is `''`. */
export function route({ exchanges, queues }: Places, message: Message, headers?: Table): Set<Queue> {
  const known = headers ?? decodeProperties(message.properties).headers;
  const keys = routingKeysOf(message, known);
  const found = new Set<Queue>();
  const visited = new Set<Exchange>();

  function visit(name: string): void {
    if (name === '') visitDefault();
    const exchange = exchanges.get(name);
    if (!exchange || visited.has(exchange)) return;
    visited.add(exchange);
    const destinations = matchingDestinations(exchange, keys, known);
    for (const destination of destinations) {
      if (destination.kind === 'queue') found.add(destination.queue);
      else visit(destination.exchange.name);
    }
    if (destinations.length === 0 && exchange.alternate !== undefined) visit(exchange.alternate);
  }

  function visitDefault(): void {
    for (const key of keys) {
      const queue = queues.get(key);
      if (queue) found.add(queue);
    }
  }

  visit(message.exchange);
  return found;
}
