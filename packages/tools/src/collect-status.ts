/**
 * How a Waybill is, from those who know: each process says at its health port what it is, the broker what its queues hold.
 * Nothing is taken from a work queue for it: that would count against the messages.
 */
import {
  DEAD_LETTERS_QUEUE,
  REPLIES_QUEUE,
  REPLIES_RETRY_QUEUE,
  serviceQueues,
} from '@waybill/common/broker/amqp-topology.ts';
import { observersOf, PARTITIONS, RETRY_DELAYS_MS } from '@waybill/common/broker/topology.ts';
import { askReady } from './ask-ready.ts';
import { type Broker, type Connection, connectToBroker } from './broker-connection.ts';
import { openDeadLetterQueue } from './dead-letter-queue.ts';
import { type Answers, readAnswers } from './read-answers.ts';
import { readDeadLetter } from './read-dead-letter.ts';
import { type ManagedBroker, readManagement } from './read-management.ts';

export type Tier = {
  /** Its `/health/ready`. */
  url: string;
  isReady: boolean;
  /** Why it is not ready. */
  reason?: string | undefined;
  service?: string;
  version?: string;
  instance?: string;
  /** Of a public-web: requests that wait for their reply. */
  parked?: number;
  /** Of a listener: the service that its queue is named by, its types, and how many events it handles now. */
  queue?: string;
  answers?: string[];
  observes?: string[];
  inFlight?: number;
};

export type Status = {
  tiers: Tier[];
  /** By whom an event of each type is answered and observed. */
  types: { type: string; answeredBy: string[]; observedBy: string[] }[];
  /** Ready messages and consumers; without those of retries and suspects that hold nothing. */
  queues: { name: string; messages: number; consumers: number }[];
  /** What clients were answered; absent where nobody keeps metrics. */
  answers?: Answers[] | undefined;
  deadLetters: { total: number; byReason: Record<string, number>; oldest?: string | undefined };
};

export type StatusSources = {
  /** Of each process, its `/health/ready`. */
  healthUrls: string[];
  broker: Broker;
  /** RabbitMQ's management API, without `/api`. */
  managementUrl?: string | undefined;
  /** Where metrics are, in Prometheus' text format. */
  metricsUrl?: string | undefined;
};

/** Dead letters beyond this many are not looked through. */
const MAX_DEAD_LETTERS = 10_000;

/** @throws UserError when the broker cannot be asked */
export async function collectStatus({
  healthUrls,
  broker,
  managementUrl,
  metricsUrl,
}: StatusSources): Promise<Status> {
  const tiers = await Promise.all(healthUrls.map(askTier));
  const answers = metricsUrl ? await readAnswers(metricsUrl) : undefined;
  const managed = managementUrl ? await readManagement(managementUrl, broker) : undefined;
  const connection = await connectToBroker(broker, 'status');
  try {
    const queues = await lookAt(namesOf(tiers, managed), connection);
    const total = queues.find(({ name }) => name === DEAD_LETTERS_QUEUE)?.messages ?? 0;
    return {
      tiers,
      types: typesOf(tiers, managed),
      queues: queues.filter(
        ({ name, messages }) => messages > 0 || !/\.(retry|isolated)\b|\.(types|p\d+)$/.test(name),
      ),
      answers,
      deadLetters: {
        total,
        ...(total > 0 && total <= MAX_DEAD_LETTERS ? await readReasons(broker) : NO_REASONS),
      },
    };
  } finally {
    await connection.close();
  }
}

async function askTier(url: string): Promise<Tier> {
  const { isReady, reason, facts } = await askReady(url);
  return { url, isReady, ...(isReady ? {} : { reason: reason ?? 'nothing answers' }), ...facts };
}

function namesOf(tiers: Tier[], managed: ManagedBroker | undefined): string[] {
  const services = tiers.flatMap(({ queue, answers = [], observes = [] }) =>
    queue === undefined
      ? []
      : [...(answers.length > 0 ? [queue] : []), ...(observes.length > 0 ? [observersOf(queue)] : [])],
  );
  const own = services
    .map(serviceQueues)
    .flatMap(({ work, isolated, partition, retry }) => [
      ...[work, isolated, ...PARTITIONS.map(partition)],
      ...RETRY_DELAYS_MS.map(retry),
    ]);
  const shared = [REPLIES_QUEUE, REPLIES_RETRY_QUEUE, DEAD_LETTERS_QUEUE];
  return [...new Set([...own, ...(managed?.queues ?? []), ...shared])].sort();
}

/** Partitions are there together, and most services have none. */
const FURTHER_PARTITION = /\.p[1-9]\d*$/;

/** Those that are there, of sorted names. Each that is not costs a channel. */
async function lookAt(names: string[], { model }: Connection) {
  const found: Status['queues'] = [];
  for (const name of names) {
    const first = name.replace(FURTHER_PARTITION, '.p0');
    if (first !== name && !found.some((queue) => queue.name === first)) continue;
    const channel = await model.createChannel();
    channel.on('error', () => {});
    try {
      const { messageCount: messages, consumerCount: consumers } = await channel.checkQueue(name);
      found.push({ name, messages, consumers });
      await channel.close();
    } catch {
      // The broker has closed the channel: there is no such queue, or it is another's.
    }
  }
  return found;
}

function typesOf(tiers: Tier[], managed: ManagedBroker | undefined): Status['types'] {
  const types = new Map<string, { answeredBy: Set<string>; observedBy: Set<string> }>();
  const add = (type: string, how: 'answeredBy' | 'observedBy', service: string) => {
    const entry = types.get(type) ?? { answeredBy: new Set(), observedBy: new Set() };
    types.set(type, entry);
    entry[how].add(service);
  };
  for (const { queue = '', answers = [], observes = [] } of tiers) {
    for (const type of answers) add(type, 'answeredBy', queue);
    for (const type of observes) add(type, 'observedBy', queue);
  }
  for (const { type, queue } of managed?.answered ?? []) add(type, 'answeredBy', serviceOf(queue));
  for (const { type, queue } of managed?.observed ?? []) add(type, 'observedBy', serviceOf(queue));
  return [...types]
    .map(([type, { answeredBy, observedBy }]) => ({
      type,
      answeredBy: [...answeredBy].sort(),
      observedBy: [...observedBy].sort(),
    }))
    .sort((a, b) => a.type.localeCompare(b.type));
}

function serviceOf(queue: string): string {
  return queue.replace(/^waybill\./, '').replace(/\.(types|observers)$/, '');
}

const NO_REASONS = { byReason: {} };

/** Nothing, when another program is at them. */
async function readReasons(broker: Broker): Promise<Omit<Status['deadLetters'], 'total'>> {
  const queue = await openDeadLetterQueue(broker).catch(() => undefined);
  if (!queue) return NO_REASONS;
  const byReason: Record<string, number> = {};
  let oldest: Date | undefined;
  try {
    for await (const message of queue.take(new AbortController().signal)) {
      const { reason, deadLetteredAt } = readDeadLetter(message);
      byReason[reason] = (byReason[reason] ?? 0) + 1;
      if (deadLetteredAt && (!oldest || deadLetteredAt < oldest)) oldest = deadLetteredAt;
    }
  } finally {
    await queue.close();
  }
  return { byReason, oldest: oldest?.toISOString() };
}
