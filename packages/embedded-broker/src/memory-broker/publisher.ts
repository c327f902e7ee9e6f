import { randomUUID } from 'node:crypto';
import { messagingDestination, type Route, routeOf } from '@waybill/common/broker/amqp-route.ts';
import { TYPES_EXCHANGE } from '@waybill/common/broker/amqp-topology.ts';
import type { OutgoingMessage, Publisher, PublishOutcome } from '@waybill/common/broker/ports.ts';
import { within } from '@waybill/common/within.ts';
import type { Message } from '../message.ts';
import type { Vhost } from '../vhost.ts';
import { createMemoryConnection, type Session } from './connection.ts';
import { unbindType } from './declare.ts';
import type { Line } from './line.ts';
import { toStored } from './stored-message.ts';

const CONFIRM_TIMEOUT_MS = 5_000;
/** One that ends the connection twice would do it for ever. */
const MAX_REFUSALS = 2;

type Pending = {
  id: string;
  message: Message;
  isWritten: boolean;
  /** It was written by a connection that ended before it said what became of it. */
  mayBeEnqueued: boolean;
  refusals: number;
  timer: NodeJS.Timeout;
  resolve(outcome: PublishOutcome): void;
};

/** Creates a {@link Publisher} to `vhost`. It has no bound of what is unconfirmed. */
export function createMemoryPublisher({
  vhost,
  line,
  declare,
  confirmTimeoutMs = CONFIRM_TIMEOUT_MS,
}: {
  vhost: Vhost;
  line: Line;
  /** Declares the topology. */
  declare(): void;
  confirmTimeoutMs?: number | undefined;
}): Publisher {
  /** By message id, in the order of publishing. */
  const pending = new Map<string, Pending>();
  let onDrained: (() => void) | undefined;

  const connection = createMemoryConnection({
    line,
    setup: declare,
    onOpen(session) {
      for (const entry of pending.values()) write(entry, session);
    },
  });

  function write(entry: Pending, session: Session): void {
    entry.mayBeEnqueued ||= entry.isWritten;
    entry.isWritten = true;
    session.send(() => {
      if (!isExchange(entry.message.exchange)) return refuse(entry, session);
      const result = vhost.publish(entry.message);
      session.answer(() => settle(entry, outcomeOf(entry, result)));
    });
  }

  const isExchange = (name: string) => name === '' || vhost.exchanges.has(name);

  /** As a broker closes the channel: everybody on it writes again. */
  function refuse(entry: Pending, session: Session): void {
    entry.isWritten = false;
    entry.refusals += 1;
    if (entry.refusals >= MAX_REFUSALS) settle(entry, outcomeOfRest(entry));
    session.end();
  }

  /** Of what nobody will say any more. */
  function outcomeOfRest({ isWritten, mayBeEnqueued }: Pending): PublishOutcome {
    return isWritten || mayBeEnqueued ? 'unknown' : 'not-accepted';
  }

  function settle(entry: Pending, outcome: PublishOutcome): void {
    if (!pending.delete(entry.id)) return;
    clearTimeout(entry.timer);
    entry.resolve(outcome);
    if (pending.size === 0) onDrained?.();
  }

  async function publish(outgoing: OutgoingMessage, route: Route): Promise<PublishOutcome> {
    const session = connection.session();
    const id = randomUUID();
    const message = toStored(outgoing, route, id);
    if (!session || !message) return 'not-accepted';
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(entry, outcomeOfRest(entry)), confirmTimeoutMs);
      const entry: Pending = {
        ...{ id, message, timer, resolve },
        ...{ isWritten: false, mayBeEnqueued: false, refusals: 0 },
      };
      pending.set(id, entry);
      write(entry, session);
    });
  }

  return {
    publish: (message) => publish(message, routeOf(message.to)),
    isAvailable: () => connection.session() !== undefined,
    isConnected: () => connection.session() !== undefined,
    declare: () => connection.call(declare),
    unbind: (binding) => connection.call(() => unbindType(vhost, binding)),
    async isDeclared(type) {
      const question = { to: { type }, contentType: '', body: Buffer.alloc(0) };
      const outcome = await publish(question, { exchange: TYPES_EXCHANGE, routingKey: type });
      return outcome === 'confirmed' || (outcome === 'unroutable' ? false : undefined);
    },
    describe: (to) => messagingDestination(routeOf(to)),
    async close(deadlineMs = CONFIRM_TIMEOUT_MS) {
      if (pending.size > 0) await within(deadlineMs, new Promise<void>((resolve) => (onDrained = resolve)));
      connection.close();
      for (const entry of [...pending.values()]) settle(entry, 'unknown');
    },
  };
}

function outcomeOf(
  { mayBeEnqueued }: Pending,
  { isRouted, isAccepted }: ReturnType<Vhost['publish']>,
): PublishOutcome {
  if (!isAccepted) return 'unknown';
  if (isRouted) return 'confirmed';
  return mayBeEnqueued ? 'unknown' : 'unroutable';
}
