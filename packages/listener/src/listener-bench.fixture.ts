/** What the tests of a listener stand on: a broker, the part of a dispatcher, and listener processes to run. */
import { randomUUID } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { createAmqpPublisher } from '@waybill/common/broker/amqp-publisher.ts';
import { createAmqpSubscriber } from '@waybill/common/broker/amqp-subscriber.ts';
import { dispatcherTopology, EVENTS_EXCHANGE, serviceQueues } from '@waybill/common/broker/amqp-topology.ts';
import { DEAD_LETTER_HEADERS } from '@waybill/common/broker/dead-letter.ts';
import type { Delivery, OutgoingMessage } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { decodeMessage, encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import type { LogLine } from '@waybill/test-harness/collect-log.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { pino } from 'pino';

const MAIN = 'packages/listener/src/behaviours.fixture.ts';
const DEADLINE_MS = 90_000;

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

/** A listener that is started again each time it dies. */
export type Phoenix = {
  /** How often it has died. */
  deaths(): number;
  /** What all its lives have logged. */
  lines(): LogLine[];
  stop(): Promise<void>;
};

export type StartOptions = { url?: string; concurrency?: number; env?: Record<string, string> };

export type ListenerBench = Awaited<ReturnType<typeof createListenerBench>>;

/** Makes a broker and takes the part of a dispatcher on it. */
export async function createListenerBench() {
  const broker: TestBroker = await freshBroker();
  const client = {
    url: broker.url,
    name: 'test',
    topology: dispatcherTopology,
    log: pino({ level: 'silent' }),
  };
  const publisher = await createAmqpPublisher(client);
  const subscriber = await createAmqpSubscriber(client);
  const replies = collect<CloudEvent[]>((delivery) => decodeMessage(delivery));
  const deadLetters = collect<DeadLetter>(toDeadLetter);
  const running = new Set<Service>();

  const subscriptions = [
    subscriber.subscribe({ from: { replies: true }, prefetch: 100, onDelivery: replies.take }),
    subscriber.subscribe({ from: { deadLetters: true }, prefetch: 100, onDelivery: deadLetters.take }),
  ];
  await eventually(() => {
    if (!publisher.isAvailable() || !subscriptions.every(({ isActive }) => isActive()))
      throw new Error('the broker is not connected');
  });

  async function start(service: string, options: StartOptions = {}): Promise<Service> {
    const { url = broker.url, concurrency = 64 } = options;
    const env = { AMQP_URL: url, CONCURRENCY: String(concurrency), LOG_LEVEL: 'debug', ...options.env };
    const listener = await startService({ name: service, main: MAIN, args: [service], env });
    running.add(listener);
    return listener;
  }

  const repliesTo = ({ correlationid }: CloudEvent) =>
    replies.all.flat().filter((reply) => reply.correlationid === correlationid);

  return {
    broker,
    publisher,
    /** Every message of replies so far. */
    replyMessages: () => replies.all,
    deadLetters: () => deadLetters.all,

    /** Starts the listener of `service`; resolves before it is ready. */
    start,

    /** Starts the listener of `service` and waits until events arrive. */
    async startReady(service: string, options?: StartOptions): Promise<Service> {
      const listener = await start(service, options);
      await listener.ready();
      return listener;
    },

    /** Runs the listener of `service` and starts it again each time it dies. */
    async startPhoenix(service: string, options?: StartOptions): Promise<Phoenix> {
      return createPhoenix(() => start(service, options));
    },

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

    /** Routes events of another type to `service`, which has declared its queue. */
    async bind(service: string, type: string): Promise<void> {
      const binding = { queue: serviceQueues(service).work, exchange: EVENTS_EXCHANGE, routingKey: type };
      const topology = { exchanges: [], queues: [], bindings: [binding] };
      const binder = await createAmqpPublisher({ ...client, topology });
      await eventually(() => {
        if (!binder.isAvailable()) throw new Error(`${service} is not bound`);
      });
      await binder.close();
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

    async close(): Promise<void> {
      for (const listener of running) listener.kill('SIGKILL');
      await Promise.all([publisher.close(0), subscriber.close()]);
      await broker.close();
    },
  };
}

/** An event that a client waits for. */
export function makeRequest(
  service: string,
  behaviour: string,
  attributes?: Partial<CloudEvent>,
): CloudEvent {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: '/test',
    type: `${service}.${behaviour}`,
    correlationid: randomUUID(),
    replyto: 'an-address-that-listeners-do-not-read',
    ...attributes,
  };
}

/** The lines that handlers left for attempts at `event`. */
export function attemptsIn(lines: LogLine[], event: CloudEvent): LogLine[] {
  return lines.filter(({ msg, event_id }) => msg === 'started' && event_id === event.id);
}

/** `items` in lists of `size`. */
export function batchesOf<T>(size: number, items: T[]): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) =>
    items.slice(i * size, (i + 1) * size),
  );
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

/** More deaths than any test is about: then the listener fails for a reason of its own. */
const MAX_DEATHS = 40;

function createPhoenix(start: () => Promise<Service>): Phoenix {
  const lines: LogLine[][] = [];
  let deaths = 0;
  let isStopping = false;
  let current: Service | undefined;
  const ended = live();

  async function live(): Promise<void> {
    while (!isStopping && deaths < MAX_DEATHS) {
      // It may die before it has said that it listens.
      current = await start().catch(() => undefined);
      if (current) lines.push(current.logs);
      if (isStopping) current?.kill('SIGKILL');
      await current?.exited;
      if (!isStopping) deaths += 1;
    }
  }

  return {
    deaths: () => deaths,
    lines: () => lines.flat(),
    async stop() {
      isStopping = true;
      current?.kill('SIGKILL');
      await ended;
    },
  };
}
