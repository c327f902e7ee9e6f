/**
 * A whole listener in the process of its test, on a broker in memory: what it does with an event from its queue to its
 * reply, retries and dead letters included.
 *
 * Time at the broker (the delays of retries and of further events) stands still until the test moves it, so that nothing
 * is waited for. Deadlines of events (`expirytime`) and `timeoutMs` of handlers go by the clock of the machine.
 */
import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DEAD_LETTERS_QUEUE, REPLIES_QUEUE, serviceQueues } from '@waybill/common/broker/amqp-topology.ts';
import { DEAD_LETTER_HEADERS } from '@waybill/common/broker/dead-letter.ts';
import type {
  Delivery,
  OutgoingMessage,
  PublishOutcome,
  Source,
  Subscription,
} from '@waybill/common/broker/ports.ts';
import { observersOf, PARTITIONS } from '@waybill/common/broker/topology.ts';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { decodeMessage, encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { createManualClock } from '@waybill/embedded-broker/clock.ts';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { createListener, type ListenerOptions } from '../create-listener.ts';
import { orderedTypesOf } from '../handler-options.ts';
import { WAIT_LEFT_HEADER } from '../wait.ts';

/** What was given up. */
export type DeadLetter = {
  /** As it came. */
  event: CloudEvent;
  /** As `docs/dead-letters.md` lists them. */
  reason: string;
  /** Of the last error. */
  code: string;
  message: string;
  attempts: number;
};

export type TestListener = {
  /**
   * Sends an event as a client does, and resolves with its reply; a problem is one of type `waybill.Problem`. Delays on the
   * way (retries) are passed over.
   *
   * @throws AppError `unroutable` when there is no handler of its type; Error when all is done and there is no reply.
   */
  ask(event: Partial<CloudEvent> & { type: string }): Promise<CloudEvent>;
  /** Sends an event that nobody waits for, to its handler or observer; resolves when the broker has it. Throws as `ask` does. */
  send(event: Partial<CloudEvent> & { type: string }): Promise<void>;
  /** Resolves when nothing is under way any more: what is left waits for its delay. */
  idle(): Promise<void>;
  /** Lets `ms` milliseconds pass at the broker, and all that falls due within them be done. */
  advance(ms: number): Promise<void>;
  /**
   * Lets as much time pass as it takes until nothing waits any more.
   *
   * @throws Error after 1,000 delays: handlers that keep sending delayed events never settle.
   */
  settled(): Promise<void>;
  /** The further events that handlers have published so far, in order; the services that take them are not part of the test. */
  published(): CloudEvent[];
  /** What was given up so far, in order. */
  deadLetters(): DeadLetter[];
  close(): Promise<void>;
};

/** More than a test is about. */
const MAX_DELAYS = 1_000;

/**
 * Creates a listener on a broker of its own, and resolves when it takes events.
 *
 * @throws AppError as {@link createListener}.
 *
 * @example
 * const shop = await createTestListener({ service: 'shop', handlers });
 * const reply = await shop.ask({ type: 'Order.Place', data: { sku: 'x' } });
 * assert.equal(reply.type, 'Order.Placed');
 * await shop.close();
 */
export async function createTestListener<
  Data extends Record<string, unknown>,
  Observed extends Record<string, unknown>,
>(options: Omit<ListenerOptions<Data, Observed>, 'publisher' | 'subscriber'>): Promise<TestListener> {
  const { service, handlers = {}, observers = {} } = options;
  const isHandled = (type: string) => Object.hasOwn(handlers, type);
  const isObserved = (type: string) => Object.hasOwn(observers, type);
  const clock = createManualClock();
  const broker = createMemoryBroker({ clock, topology: 'dispatcher' });
  const published: CloudEvent[] = [];
  const deadLetters: DeadLetter[] = [];
  const replies = new Map<unknown, CloudEvent>();
  const subscriptions = [
    consume({ deadLetters: true }, (delivery) => void deadLetters.push(toDeadLetter(delivery))),
    consume({ replies: true }, (delivery) => {
      for (const reply of decodeMessage(delivery)) replies.set(reply.correlationid, reply);
    }),
  ];
  const { publisher, subscriber } = broker.connect({
    topology: {
      ...{ service, types: Object.keys(handlers), observedTypes: Object.keys(observers) },
      orderedTypes: orderedTypesOf(handlers),
    },
  });
  const listener = createListener({ ...options, subscriber, publisher: { ...publisher, publish } });
  const isReady = () =>
    [listener, ...subscriptions].every(({ isActive }) => isActive()) && broker.publisher.isAvailable();
  while (!isReady() || !publisher.isAvailable()) await nextTurn();

  function consume(from: Source, take: (delivery: Delivery) => void): Subscription {
    const onDelivery = (delivery: Delivery) => {
      take(delivery);
      delivery.ack();
    };
    return broker.subscriber.subscribe({ from, prefetch: 1_000, onDelivery });
  }

  /** Notes further events, and takes those that nobody else does. */
  async function publish(message: OutgoingMessage): Promise<PublishOutcome> {
    const { to, headers = {} } = message;
    const isForOthers = 'type' in to && !isHandled(to.type);
    const outcome = isForOthers ? 'confirmed' : await publisher.publish(message);
    // What has other headers was not made here: it is tried again, handed on, or has waited for a part of its delay.
    const isNew = Object.keys(headers).every((name) => name === WAIT_LEFT_HEADER);
    const isMadeHere = isNew && ('type' in to || 'service' in to);
    if (isMadeHere && outcome === 'confirmed') published.push(...decodeMessage(message));
    return outcome;
  }

  /** Whether anything is left but what waits for its delay. */
  function isBusy(): boolean {
    const own = [service, observersOf(service)].map(serviceQueues);
    const consumed = [
      ...own.flatMap(({ work, isolated, partition }) => [work, isolated, ...PARTITIONS.map(partition)]),
      REPLIES_QUEUE,
      DEAD_LETTERS_QUEUE,
    ];
    return Object.entries(broker.queues()).some(
      ([name, { ready, unacked }]) => unacked > 0 || (ready > 0 && consumed.includes(name)),
    );
  }

  async function idle(): Promise<void> {
    do await nextTurn();
    while (isBusy());
  }

  /** Goes on, from one delay to the next, while there is a further one until `untilMs`, and `isWanted`. */
  async function pass(untilMs: number, isWanted: () => boolean = () => true): Promise<void> {
    await idle();
    for (let delays = 0; isWanted() && clock.nextMs() <= untilMs; delays += 1) {
      if (clock.nextMs() === Number.POSITIVE_INFINITY) return;
      if (delays === MAX_DELAYS) throw new Error(`it does not settle: ${MAX_DELAYS} delays have passed`);
      clock.moveTo(clock.nextMs());
      await idle();
    }
  }

  async function send(given: Partial<CloudEvent> & { type: string }): Promise<void> {
    const event: CloudEvent = {
      ...{ specversion: '1.0', id: randomUUID(), source: '/test' },
      ...given,
    };
    const { type } = event;
    const destinations = [
      ...(isHandled(type) ? [{ type }] : []),
      ...(isObserved(type) ? [{ observed: type }] : []),
    ];
    if (destinations.length === 0) throw new AppError('unroutable', `nothing here takes ${type}`);
    for (const to of destinations) {
      const outcome = await broker.publisher.publish({ to, ...encodeMessage([encodeEvent(event)]) });
      if (outcome !== 'confirmed') throw new Error(`${type} is ${outcome}`);
    }
  }

  return {
    async ask(given) {
      if (!isHandled(given.type)) throw new AppError('unroutable', `no handler takes ${given.type}`);
      const correlationid = randomUUID();
      await send({ replyto: 'test', ...given, correlationid });
      await pass(Number.POSITIVE_INFINITY, () => !replies.has(correlationid));
      const reply = replies.get(correlationid);
      if (!reply) throw new Error(`all is done, and ${given.type} has no reply: was its expirytime over?`);
      return reply;
    },
    send,
    idle,
    async advance(ms) {
      const untilMs = clock.nowMs() + ms;
      await pass(untilMs);
      clock.moveTo(untilMs);
    },
    settled: () => pass(Number.POSITIVE_INFINITY),
    published: () => [...published],
    deadLetters: () => [...deadLetters],
    async close() {
      await listener.close();
      await broker.close();
    },
  };
}

function toDeadLetter({ body, headers }: Delivery): DeadLetter {
  return {
    event: JSON.parse(body.toString()),
    reason: String(headers[DEAD_LETTER_HEADERS.reason]),
    code: String(headers[DEAD_LETTER_HEADERS.errorCode]),
    message: String(headers[DEAD_LETTER_HEADERS.errorMessage]),
    attempts: Number(headers[DEAD_LETTER_HEADERS.attempts]),
  };
}
