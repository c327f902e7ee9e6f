/** What the tests of a listener stand on: a broker, the part of a dispatcher, and listener processes to run. */
import { randomUUID } from 'node:crypto';
import { createAmqpPublisher } from '@waybill/common/broker/amqp-publisher.ts';
import { createAmqpSubscriber } from '@waybill/common/broker/amqp-subscriber.ts';
import { dispatcherTopology, EVENTS_EXCHANGE, serviceQueues } from '@waybill/common/broker/amqp-topology.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { LogLine } from '@waybill/test-harness/collect-log.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { freshBroker, type TestBroker } from '@waybill/test-harness/test-broker.ts';
import { pino } from 'pino';
import { createAnswers } from './answers.fixture.ts';

const MAIN = 'packages/listener/src/behaviours-program.fixture.ts';

/** A listener that is started again each time it dies. */
export type Phoenix = {
  /** How often it has died. */
  deaths(): number;
  /** What all its lives have logged. */
  lines(): LogLine[];
  stop(): Promise<void>;
};

export type StartOptions = {
  url?: string;
  concurrency?: number;
  env?: Record<string, string>;
  /** Default: the behaviours. */
  main?: string;
};

export type ListenerBench = Awaited<ReturnType<typeof createListenerBench>>;

/** Takes the part of a dispatcher on a broker that is made for it, or on the one at `url`. */
export async function createListenerBench({ url: givenUrl }: { url?: string } = {}) {
  const broker: TestBroker = givenUrl === undefined ? await freshBroker() : brokerAt(givenUrl);
  const client = {
    url: broker.url,
    name: 'test',
    topology: dispatcherTopology,
    log: pino({ level: 'silent' }),
  };
  const publisher = await createAmqpPublisher(client);
  const subscriber = await createAmqpSubscriber(client);
  const answers = await createAnswers({ publisher, subscriber });
  const running = new Set<Service>();

  async function start(service: string, options: StartOptions = {}): Promise<Service> {
    const { url = broker.url, concurrency = 64, main = MAIN } = options;
    const env = { AMQP_URL: url, CONCURRENCY: String(concurrency), LOG_LEVEL: 'debug', ...options.env };
    const listener = await startService({ name: service, main, args: [service], env });
    running.add(listener);
    return listener;
  }

  return {
    broker,
    ...answers,

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

    async close(): Promise<void> {
      for (const listener of running) listener.kill('SIGKILL');
      await Promise.all([publisher.close(0), subscriber.close()]);
      await broker.close();
    },
  };
}

/** One that belongs to the test. */
function brokerAt(url: string): TestBroker {
  const isUnknown = () => Promise.reject(new Error('the depths of its queues are not known'));
  return { url, vhost: '/', queues: isUnknown, emptied: isUnknown, close: async () => {} };
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
