/** A dispatcher process on a broker, with the test as its public-web and as its listener. */
import { EventEmitter, once } from 'node:events';
import { createAmqpPublisher } from '@waybill/common/broker/amqp-publisher.ts';
import { createAmqpSubscriber } from '@waybill/common/broker/amqp-subscriber.ts';
import { dispatcherTopology, listenerTopology } from '@waybill/common/broker/amqp-topology.ts';
import type { Delivery, Publisher, Source } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { BATCH_CONTENT_TYPE, encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { callbackAddress } from '@waybill/common/internal-call/callback-address.ts';
import { signRequest } from '@waybill/common/internal-call/http-signature.ts';
import { deriveInternalKeys, type Key } from '@waybill/common/internal-call/internal-keys.ts';
import { createReplyAddresses } from '@waybill/common/internal-call/reply-address.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { type OnBatch, type StandIn, startStandIn } from '@waybill/test-harness/stand-in.ts';
import { pino } from 'pino';

const SECRET = 'a-secret-that-only-this-test-knows';
/** The keys of every process that {@link startDispatcher} starts. */
export const keys = deriveInternalKeys([SECRET]);
const log = pino({ level: 'silent' });

/** Starts a dispatcher, and waits until it has reached its broker. */
export async function startDispatcher(amqpUrl: string, env: Record<string, string> = {}): Promise<Service> {
  const service = await startService({
    name: 'dispatcher',
    env: { INTERNAL_SECRETS: SECRET, AMQP_URL: amqpUrl, ...env },
  });
  await service.ready();
  return service;
}

let count = 0;

/** An event as public-web sends it; its correlation id is its id. */
export function newEvent(type: string, changes: Partial<CloudEvent> = {}): CloudEvent {
  count += 1;
  const id = `e${count}`;
  return { specversion: '1.0', id, source: '/test', type, correlationid: id, ...changes };
}

/** Calls `POST /events`, signed unless `headers` say otherwise. */
export function postEvents(
  dispatcher: Service,
  body: string,
  headers: Record<string, string> = signRequest({ method: 'POST', path: '/events', body, keys: keys.call }),
): Promise<Response> {
  const url = `${dispatcher.baseUrl}/events`;
  return fetch(url, { method: 'POST', headers: { 'content-type': BATCH_CONTENT_TYPE, ...headers }, body });
}

/** What intake answers. */
export type Answer = {
  unroutable: string[];
  rejected: { id: string; problem: { code: string; status: number; detail: string } }[];
  unknown: string[];
};

/** Sends `events` and resolves with what intake answers. */
export async function send(dispatcher: Service, events: unknown[]): Promise<Answer> {
  const response = await postEvents(dispatcher, JSON.stringify(events));
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  return (await response.json()) as Answer;
}

/** A listener played by the test: the messages of one queue, each acked as it comes. */
export type Consumer = {
  messages: Delivery[];
  /** The events of all messages so far. */
  events(): CloudEvent[];
  /** Resolves when `done` says so of the messages so far. */
  until(done: (messages: Delivery[]) => boolean): Promise<void>;
  close(): Promise<void>;
};

/** Consumes the work queue of `service`, bound to `types`. */
export function startListener(amqpUrl: string, service: string, types: string[]): Promise<Consumer> {
  return consume(amqpUrl, { work: service }, listenerTopology(service, types));
}

/** Consumes what comes from anywhere. */
export async function consume(
  amqpUrl: string,
  from: Source,
  topology = dispatcherTopology,
): Promise<Consumer> {
  const subscriber = await createAmqpSubscriber({ url: amqpUrl, name: 'test', topology, log });
  const arrivals = new EventEmitter();
  const messages: Delivery[] = [];
  const subscription = subscriber.subscribe({
    from,
    prefetch: 1_000,
    onDelivery(delivery) {
      messages.push(delivery);
      delivery.ack();
      arrivals.emit('message');
    },
  });
  await eventually(() => {
    if (!subscription.isActive()) throw new Error('it is not consumed yet');
  });
  return {
    messages,
    events: () => messages.flatMap(eventsOf),
    async until(done) {
      while (!done(messages)) await once(arrivals, 'message');
    },
    close: subscriber.close,
  };
}

/** The events of a message. */
export function eventsOf({ body }: Delivery): CloudEvent[] {
  return [JSON.parse(body.toString())].flat();
}

/** A public-web instance played by the test. */
export type Instance = StandIn & {
  /** Its signed reply address. */
  replyto: string;
  /** The ids of all replies delivered to it so far. */
  delivered(): string[];
  /** Resolves when `count` replies have been delivered to it. */
  deliveredAll(count: number): Promise<void>;
};

let instances = 0;

/** Starts an instance that takes every reply, unless `onBatch` does otherwise. */
export async function startInstance(
  options: { onBatch?: OnBatch; instance?: string; port?: number } = {},
): Promise<Instance> {
  instances += 1;
  const { onBatch = takeAll, instance = `instance-${instances}`, port } = options;
  const standIn = await startStandIn({ keys: keys.call, onBatch, port });
  const delivered = () => standIn.batches.flat().map(({ id }) => id);
  return Object.assign(standIn, {
    replyto: addressOf(`${standIn.url}/dispatch`, instance),
    delivered,
    async deliveredAll(count: number) {
      while (delivered().length < count) await standIn.batch(standIn.batches.length);
    },
  });
}

/** Knows every reply. */
export const takeAll: OnBatch = (_events, response) => response.end('{"unknown":[]}');

/** The reply address that the instance at `url` signs. */
export function addressOf(url: string, instance: string, signingKeys: Key[] = keys.replyAddress): string {
  return createReplyAddresses({
    address: callbackAddress(url, instance),
    keys: signingKeys,
    maxDeadlineMs: 60_000,
  }).current();
}

/** What publishes replies as a listener does. */
export function createReplyPublisher(amqpUrl: string): Promise<Publisher> {
  return createAmqpPublisher({ url: amqpUrl, name: 'test replies', topology: dispatcherTopology, log });
}

/** `count` replies to `replyto`. */
export function newReplies(replyto: unknown, howMany = 1, changes: Partial<CloudEvent> = {}): CloudEvent[] {
  const options = { replyto, ...changes } as Partial<CloudEvent>;
  return Array.from({ length: howMany }, () => newEvent('PingResponse', options));
}

/** Publishes `replies` as one message, confirmed. */
export async function publishReplies(publisher: Publisher, replies: CloudEvent[]): Promise<void> {
  const message = encodeMessage(replies.map(encodeEvent));
  await publishRaw(publisher, message);
}

/** Publishes anything to where replies go. */
export async function publishRaw(
  publisher: Publisher,
  message: { contentType: string; body: Buffer },
): Promise<void> {
  await eventually(async () => {
    const outcome = await publisher.publish({ to: { replies: 'now' }, ...message });
    if (outcome !== 'confirmed') throw new Error(outcome);
  });
}
