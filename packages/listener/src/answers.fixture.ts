/** The part of a dispatcher, and of an operator, in the tests of a listener: what sends events, and takes what comes of them. */
import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { DEAD_LETTER_HEADERS } from '@waybill/common/broker/dead-letter.ts';
import type { Broker, Delivery, OutgoingMessage } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { decodeMessage, encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';

const DEADLINE_MS = 150_000;

/** What lies in `waybill.dead-letters`; `event` is missing from a raw one. */
export type DeadLetter = {
  reason: string;
  queue: string;
  attempts: number;
  code: string;
  message: string;
  traceId: string | undefined;
  headers: Record<string, unknown>;
  contentType: string;
  body: string;
};

/** Takes all replies and dead letters, from now on. */
export async function createAnswers({ publisher, subscriber }: Pick<Broker, 'publisher' | 'subscriber'>) {
  const replies = collect<CloudEvent[]>((delivery) => decodeMessage(delivery));
  const deadLetters = collect<DeadLetter>(toDeadLetter);
  const subscriptions = [
    subscriber.subscribe({ from: { replies: true }, prefetch: 100, onDelivery: replies.take }),
    subscriber.subscribe({ from: { deadLetters: true }, prefetch: 100, onDelivery: deadLetters.take }),
  ];
  await eventually(() => {
    assert.ok(publisher.isAvailable(), 'the publisher is not connected');
    assert.ok(
      subscriptions.every(({ isActive }) => isActive()),
      'the subscriber is not connected',
    );
  });

  const repliesTo = ({ correlationid }: CloudEvent) =>
    replies.all.flat().filter((reply) => reply.correlationid === correlationid);

  return {
    publisher,
    /** Every message of replies so far. */
    replyMessages: () => replies.all,
    deadLetters: () => deadLetters.all,

    /** Publishes `events` as one message, as a dispatcher does, unless `options` say otherwise. */
    async send(events: CloudEvent | CloudEvent[], options?: Partial<OutgoingMessage>): Promise<void> {
      const batch = [events].flat();
      const message = encodeMessage(batch.map(encodeEvent));
      await this.sendRaw({ to: { type: batch[0]?.type ?? '' }, ...message, ...options });
    },

    async sendRaw(message: OutgoingMessage): Promise<void> {
      const outcome = await publisher.publish(message);
      if (outcome !== 'confirmed') throw new Error(`to ${JSON.stringify(message.to)}: ${outcome}`);
    },

    repliesTo,

    /** The first reply to `event`. */
    async replyTo(event: CloudEvent): Promise<CloudEvent> {
      return replies.waitFor(() => repliesTo(event)[0], `reply to ${event.type} ${event.id}`);
    },

    /** Resolves with what `find` returns, looking again as each reply arrives. */
    waitForReplies: <T>(find: () => T | undefined | false) => replies.waitFor(find, 'such replies'),

    waitForDeadLetters: <T>(find: () => T | undefined | false) =>
      deadLetters.waitFor(find, 'such dead letters'),

    /** The first dead letter whose body contains `text`, such as an event's id. */
    async deadLetter(text: string): Promise<DeadLetter> {
      const find = () => deadLetters.all.find(({ body }) => body.includes(text));
      return deadLetters.waitFor(find, `dead letter with ${text}`);
    },
  };
}

type Collected<T> = {
  all: T[];
  take(delivery: Delivery): void;
  waitFor<Found>(find: () => Found | undefined | false, what: string): Promise<Found>;
};

function collect<T>(read: (delivery: Delivery) => T): Collected<T> {
  const all: T[] = [];
  const arrivals = new EventEmitter().setMaxListeners(0);
  return {
    all,
    take(delivery) {
      all.push(read(delivery));
      delivery.ack();
      arrivals.emit('arrival');
    },
    async waitFor(find, what) {
      const signal = AbortSignal.timeout(DEADLINE_MS);
      for (;;) {
        const found = find();
        if (found) return found;
        await once(arrivals, 'arrival', { signal }).catch((cause) => {
          throw new Error(`no ${what} within ${DEADLINE_MS} ms`, { cause });
        });
      }
    },
  };
}

function toDeadLetter({ headers, contentType, body }: Delivery): DeadLetter {
  const { reason, queue, attempts, errorCode, errorMessage, traceId } = DEAD_LETTER_HEADERS;
  return {
    reason: String(headers[reason]),
    queue: String(headers[queue]),
    attempts: Number(headers[attempts]),
    code: String(headers[errorCode]),
    message: String(headers[errorMessage]),
    traceId: headers[traceId] as string | undefined,
    headers,
    contentType,
    body: body.toString(),
  };
}
