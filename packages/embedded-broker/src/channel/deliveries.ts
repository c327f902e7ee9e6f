import { AmqpError } from '../amqp-error.ts';
import type { QueuedMessage } from '../message.ts';
import type { Queue } from '../queue.ts';

/** One delivery that waits to be acked. Those of `basic.get` have no consumer. */
export type Unacked = { entry: QueuedMessage; queue: Queue; consumer?: { unackedCount: number } };

/** What a channel has delivered and not heard of again, by delivery tag. */
export type Deliveries = {
  /** The tag of a delivery that needs no ack. */
  nextTag(): number;
  /** Keeps it until it is taken; returns its tag. */
  track(unacked: Unacked): number;
  /** Deliveries to consumers, as a prefetch for the whole channel counts them. */
  consumedCount(): number;
  /**
   * Takes out what an ack speaks of: one tag, or all up to it, or all there are for tag 0.
   *
   * @throws AmqpError `PRECONDITION_FAILED` for a tag that is not waiting.
   */
  take(tag: number, isMultiple: boolean): Unacked[];
  takeAll(): Unacked[];
};

export function createDeliveries(): Deliveries {
  /** In the order of the tags. */
  const waiting = new Map<number, Unacked>();
  let lastTag = 0;
  let consumedCount = 0;

  function remove(tag: number): Unacked {
    const unacked = waiting.get(tag) as Unacked;
    waiting.delete(tag);
    if (unacked.consumer) {
      unacked.consumer.unackedCount -= 1;
      consumedCount -= 1;
    }
    return unacked;
  }

  function takeUpTo(tag: number): Unacked[] {
    const taken: Unacked[] = [];
    for (const next of waiting.keys()) {
      if (next > tag) break;
      taken.push(remove(next));
    }
    return taken;
  }

  return {
    nextTag: () => ++lastTag,
    track(unacked) {
      lastTag += 1;
      waiting.set(lastTag, unacked);
      if (unacked.consumer) {
        unacked.consumer.unackedCount += 1;
        consumedCount += 1;
      }
      return lastTag;
    },
    consumedCount: () => consumedCount,
    take(tag, isMultiple) {
      if (isMultiple && tag === 0) return takeUpTo(Infinity);
      if (!waiting.has(tag)) throw new AmqpError('PRECONDITION_FAILED', `unknown delivery tag ${tag}`);
      return isMultiple ? takeUpTo(tag) : [remove(tag)];
    },
    takeAll: () => takeUpTo(Infinity),
  };
}

/** Gives deliveries back to their queues, each queue's all at once, so that they keep their order. */
export function requeue(deliveries: Unacked[]): void {
  for (const [queue, ofQueue] of Map.groupBy(deliveries, (unacked) => unacked.queue))
    queue.requeue(ofQueue.map(({ entry }) => entry));
}
