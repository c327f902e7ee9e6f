/**
 * One queue: what waits in it, who consumes it, when its messages expire. It knows nothing of connections and
 * channels; a consumer says by `hasRoom` whether it takes one more.
 *
 * Every function leaves the queue with nothing to deliver: either no message is ready, or no consumer has room.
 */
import type { Clock } from './clock.ts';
import { decodeProperties } from './codec/properties.ts';
import type { Table } from './codec/table.ts';
import type { DeathReason } from './dead-letter.ts';
import type { Memory } from './memory.ts';
import { type Message, type QueuedMessage, sizeOfMessage } from './message.ts';
import type { QueueSettings } from './queue-settings.ts';
import { createReadyMessages } from './ready-messages.ts';

export type Consumer = {
  tag: string;
  isExclusive: boolean;
  /** While one of a higher priority has room, those of a lower one get nothing. */
  priority: number;
  hasRoom(): boolean;
  deliver(entry: QueuedMessage): void;
  /** The queue is gone. */
  onCancelled(): void;
};

export type QueueOptions = {
  name: string;
  isDurable: boolean;
  isAutoDelete: boolean;
  /** The connection it lives and dies with, and that alone may use it. */
  owner: object | undefined;
  args: Table;
  settings: QueueSettings;
};

export type Queue = QueueOptions & {
  /** Messages that wait to be delivered. */
  readyCount(): number;
  /** Messages delivered and not yet acked. */
  unackedCount(): number;
  consumers: readonly Consumer[];
  /** Takes a message; false if it is full and refuses. `expirationMs` is the message's own. */
  publish(message: Message, expirationMs?: number): boolean;
  addConsumer(consumer: Consumer): void;
  removeConsumer(consumer: Consumer): void;
  /** Takes the first message out, as a delivery would. */
  get(): QueuedMessage | undefined;
  /** These are dealt with. */
  ack(entry: QueuedMessage): void;
  /** Back to their places, or dead-lettered where the delivery limit says so. */
  requeue(entries: QueuedMessage[]): void;
  /** Not wanted: dead-lettered. */
  reject(entry: QueuedMessage): void;
  /** Drops what is ready; the number of them. */
  purge(): number;
  /** To be called when a consumer may have room again. */
  deliver(): void;
  /** It was used: `x-expires` counts from now. */
  touch(): void;
  /** Lets go of all messages, consumers and timers. */
  destroy(): void;
};

/** What a queue needs of its virtual host. */
export type QueueSurroundings = {
  memory: Memory;
  clock: Clock;
  deadLetter(queue: Queue, message: Message, reason: DeathReason): void;
  /** It is no longer wanted: expired, or left by its last consumer. */
  remove(queue: Queue): void;
};

/** More messages than a queue ever gets; with 255 priorities positions remain exact integers. */
const POSITIONS_PER_PRIORITY = 2 ** 44;

export function createQueue(options: QueueOptions, surroundings: QueueSurroundings): Queue {
  const { settings } = options;
  const { memory, clock } = surroundings;
  const ready = createReadyMessages();
  const unacked = new Set<QueuedMessage>();
  const consumers: Consumer[] = [];
  let readyBytes = 0;
  let lastPosition = 0;
  const expiry = clock.createAlarm(settle);
  const idleness = clock.createAlarm(() => surroundings.remove(queue));
  let isDestroyed = false;

  function put(entry: QueuedMessage): void {
    ready.insert(entry);
    readyBytes += sizeOf(entry);
  }

  function takeFirst(): QueuedMessage | undefined {
    const entry = ready.shift();
    if (entry) readyBytes -= sizeOf(entry);
    return entry;
  }

  function release({ message }: QueuedMessage): void {
    memory.add(-sizeOfMessage(message));
  }

  function drop(entry: QueuedMessage, reason: DeathReason): void {
    release(entry);
    surroundings.deadLetter(queue, entry.message, reason);
  }

  /** Messages expire at the head only, as in RabbitMQ: one with less time left waits behind those before it. */
  function expire(nowMs: number): void {
    for (let first = ready.first(); first && first.expiresAtMs <= nowMs; first = ready.first()) {
      takeFirst();
      drop(first, 'expired');
    }
  }

  function expireLater(): void {
    expiry.set(isDestroyed ? Infinity : (ready.first()?.expiresAtMs ?? Infinity));
  }

  /** Expires, delivers, and sees to it that the next expiry is noticed. */
  function settle(): void {
    expire(clock.nowMs());
    hand();
    expireLater();
  }

  function hand(): void {
    while (ready.size() > 0) {
      const consumer = nextConsumer();
      const entry = consumer && takeFirst();
      if (!entry) return;
      unacked.add(entry);
      consumer.deliver(entry);
    }
  }

  /** Round robin: a consumer that gets a message goes to the end of the line. */
  function nextConsumer(): Consumer | undefined {
    if (settings.isSingleActiveConsumer) return consumers[0]?.hasRoom() ? consumers[0] : undefined;
    const i = consumers.findIndex((consumer) => consumer.hasRoom());
    const [consumer] = i < 0 ? [] : consumers.splice(i, 1);
    if (consumer) lineUp(consumer);
    return consumer;
  }

  /** Behind those of the same priority. The first consumer stays the single active one, whatever it is. */
  function lineUp(consumer: Consumer): void {
    const before = settings.isSingleActiveConsumer
      ? consumers.length - 1
      : consumers.findLastIndex(({ priority }) => priority >= consumer.priority);
    consumers.splice(before + 1, 0, consumer);
  }

  /** New ones behind those of the same priority. The higher the priority, the further ahead they are. */
  function nextPosition(message: Message): number {
    lastPosition += 1;
    if (settings.maxPriority === 0) return lastPosition;
    const { priority = 0 } = decodeProperties(message.properties);
    return lastPosition - Math.min(priority, settings.maxPriority) * POSITIONS_PER_PRIORITY;
  }

  const isOverLength = () => ready.size() > settings.maxLength || readyBytes > settings.maxBytes;
  const isFull = (message: Message) =>
    ready.size() >= settings.maxLength || readyBytes + message.body.length > settings.maxBytes;

  function dropHeads(): void {
    while (settings.overflow === 'drop-head' && isOverLength()) drop(takeFirst() as QueuedMessage, 'maxlen');
  }

  function returned(entry: QueuedMessage): void {
    unacked.delete(entry);
    entry.isRedelivered = true;
    entry.deliveryCount += 1;
    if (settings.isQuorum && entry.deliveryCount > settings.deliveryLimit) drop(entry, 'delivery_limit');
    else put(entry);
  }

  function touch(): void {
    const isIdle = consumers.length === 0 && !isDestroyed;
    idleness.set(isIdle ? clock.nowMs() + (settings.expiresMs ?? Infinity) : Infinity);
  }

  const queue: Queue = {
    ...options,
    readyCount: ready.size,
    unackedCount: () => unacked.size,
    consumers,
    publish(message, expirationMs = Infinity) {
      const nowMs = clock.nowMs();
      expire(nowMs);
      if (settings.overflow !== 'drop-head' && isFull(message)) {
        if (settings.overflow === 'reject-publish-dlx') surroundings.deadLetter(queue, message, 'maxlen');
        return false;
      }
      const expiresAtMs = nowMs + Math.min(settings.ttlMs, expirationMs);
      const position = nextPosition(message);
      put({ message, position, expiresAtMs, isRedelivered: false, deliveryCount: 0 });
      memory.add(sizeOfMessage(message));
      // Delivered before it can expire: a time to live of 0 means now or never.
      hand();
      dropHeads();
      if (ready.first()?.position === position) settle();
      return true;
    },
    addConsumer(consumer) {
      lineUp(consumer);
      touch();
      settle();
    },
    removeConsumer(consumer) {
      const i = consumers.indexOf(consumer);
      if (i < 0) return;
      consumers.splice(i, 1);
      touch();
      if (options.isAutoDelete && consumers.length === 0) surroundings.remove(queue);
      else settle();
    },
    get() {
      touch();
      expire(clock.nowMs());
      const entry = takeFirst();
      if (entry) unacked.add(entry);
      expireLater();
      return entry;
    },
    ack(entry) {
      if (unacked.delete(entry)) release(entry);
    },
    requeue(entries) {
      const present = entries.filter((entry) => unacked.has(entry));
      // The last first: each then goes to the very front.
      for (const entry of present.sort((a, b) => b.position - a.position)) returned(entry);
      dropHeads();
      settle();
    },
    reject(entry) {
      if (unacked.delete(entry)) drop(entry, 'rejected');
    },
    purge() {
      const entries = ready.clear();
      readyBytes = 0;
      entries.forEach(release);
      expireLater();
      return entries.length;
    },
    deliver: settle,
    touch,
    destroy() {
      isDestroyed = true;
      expiry.clear();
      idleness.clear();
      queue.purge();
      unacked.forEach(release);
      unacked.clear();
      for (const consumer of consumers.splice(0)) consumer.onCancelled();
    },
  };
  touch();
  return queue;
}

function sizeOf({ message }: QueuedMessage): number {
  return message.body.length;
}
