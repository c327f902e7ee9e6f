import { randomUUID } from 'node:crypto';
import { messagingDestination, queueOf } from '@waybill/common/broker/amqp-route.ts';
import type { Delivery, Source, Subscriber } from '@waybill/common/broker/ports.ts';
import type { QueuedMessage } from '../message.ts';
import type { Consumer, Queue } from '../queue.ts';
import type { Vhost } from '../vhost.ts';
import { createMemoryConnection, type Session } from './connection.ts';
import type { Line } from './line.ts';
import { fromStored } from './stored-message.ts';

type Member = {
  from: Source;
  /** The subscription to a partition was cancelled. */
  cancelled: AbortController;
  prefetch: number;
  onDelivery(delivery: Delivery): void;
  /** What it consumes with now, or has asked to. */
  attempt: Attempt | undefined;
};

type Attempt = {
  session: Session;
  consumer: Consumer;
  /** Aborts when what was delivered is lost: with the session, or with the subscription to a partition. */
  signal: AbortSignal;
  isActive: boolean;
  unacked: Set<QueuedMessage>;
  /** Known once it consumes. */
  queue?: Queue;
};

/** Creates a {@link Subscriber} to `vhost`. */
export function createMemorySubscriber({
  vhost,
  line,
  declare,
  declareSource,
}: {
  vhost: Vhost;
  line: Line;
  /** Declares the topology. */
  declare(): void;
  /** Declares what the topology leaves open. */
  declareSource(from: Source): void;
}): Subscriber {
  const members = new Set<Member>();
  /** Those of the present session, the cancelled as well: what they have got can still be acked. */
  const attempts = new Set<Attempt>();

  const connection = createMemoryConnection({
    line,
    setup: declare,
    onOpen(session) {
      for (const member of members) consume(member, session);
    },
    onEnd() {
      const ended = [...attempts];
      attempts.clear();
      for (const member of members) member.attempt = undefined;
      // Before another consumer of a partition gets anything: what comes back is ahead of it. None of these has room any more.
      for (const { queue, unacked } of ended) queue?.requeue([...unacked]);
      for (const { queue, consumer } of ended) queue?.removeConsumer(consumer);
    },
  });

  function consume(member: Member, session: Session): void {
    const attempt = createAttempt(member, session);
    member.attempt = attempt;
    attempts.add(attempt);
    session.send(() => {
      declareSource(member.from);
      attempt.queue = vhost.queues.get(queueOf(member.from));
      if (!attempt.queue) return session.end();
      session.answer(() => {
        attempt.isActive = true;
      });
      attempt.queue.addConsumer(attempt.consumer);
    });
  }

  return {
    subscribe({ from, prefetch, onDelivery }) {
      const cancelled = new AbortController();
      const member: Member = { from, prefetch, onDelivery, cancelled, attempt: undefined };
      members.add(member);
      const session = connection.session();
      if (session) consume(member, session);
      return {
        isActive: () => member.attempt?.isActive === true,
        async cancel() {
          members.delete(member);
          const { attempt } = member;
          member.attempt = undefined;
          if ('partition' in from) cancelled.abort();
          // A dead peer never answers.
          if (attempt) await connection.call(() => leave(attempt)).catch(() => {});
        },
      };
    },
    isConnected: () => connection.session() !== undefined,
    async consumersOf(service, partition) {
      let count: number | undefined;
      const queue = queueOf(partition === undefined ? { work: service } : { of: service, partition });
      await connection.call(() => {
        count = vhost.queues.get(queue)?.consumers.length;
      });
      return count;
    },
    async close() {
      // Behind the acks that are under way.
      await connection.call(() => {}).catch(() => {});
      connection.close();
    },
  };
}

/** What it has lost by it goes back before the next consumer gets anything. */
function leave({ queue, consumer, unacked, signal }: Attempt): void {
  if (signal.aborted) queue?.requeue([...unacked]);
  queue?.removeConsumer(consumer);
}

function createAttempt({ from, prefetch, cancelled, onDelivery }: Member, session: Session): Attempt {
  const unacked = new Set<QueuedMessage>();
  const signal = 'partition' in from ? AbortSignal.any([session.signal, cancelled.signal]) : session.signal;
  const consumer: Consumer = {
    tag: randomUUID(),
    isExclusive: false,
    priority: 0,
    hasRoom: () => !signal.aborted && unacked.size < prefetch,
    deliver(entry) {
      unacked.add(entry);
      const delivery = toDelivery(entry, from, attempt);
      session.answer(() => {
        if (!cancelled.signal.aborted) onDelivery(delivery);
      });
    },
    // As with AMQP: everything is consumed anew, once it is declared again.
    onCancelled: () => session.answer(session.end),
  };
  const attempt: Attempt = { session, signal, consumer, isActive: false, unacked };
  return attempt;
}

function toDelivery(
  entry: QueuedMessage,
  from: Source,
  { session, signal, unacked, queue }: Attempt,
): Delivery {
  const { body, contentType, headers, messageId } = fromStored(entry.message);
  /** Once: what was dealt with is no longer ours. */
  const settle = (act: (queue: Queue) => void) => {
    if (signal.aborted) return;
    session.send(() => {
      if (queue && unacked.delete(entry)) act(queue);
    });
  };
  return {
    ...{ body, contentType, headers, messageId, from },
    queue: queueOf(from),
    routingKey: entry.message.routingKey,
    destination: messagingDestination(entry.message, queueOf(from)),
    deliveryCount: entry.deliveryCount,
    signal,
    ack: () =>
      settle((queue) => {
        queue.ack(entry);
        queue.deliver();
      }),
    requeue: () => settle((queue) => queue.requeue([entry])),
  };
}
