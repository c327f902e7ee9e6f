/** A client of the data dispatch: asks for a dataset, consumes its queue, and remembers what came. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { eventually } from '@waybill/test-harness/eventually.ts';
import { type ChannelModel, type ConsumeMessage, connect, type GetMessage } from 'amqplib';

/** A message as it came, its data by its digest. */
export type Received = {
  index: number;
  isLast: boolean;
  streamId: string;
  /** Of the whole body. */
  digest: string;
  bytes: number;
  traceparent: string | undefined;
  /** Whether the broker offered this very message before. */
  isRedelivered: boolean;
};

export type DatasetConsumer = {
  clientId: string;
  queue: string;
  received: Received[];
  /** Resolves with how long it took, in milliseconds, when the last batch and all before it have come. */
  complete: Promise<number>;
  close(): Promise<void>;
};

/** The broker of `amqpUrl` as clients see it: the default virtual host. */
export function clientBroker(amqpUrl: string) {
  const { hostname, port, username, password } = new URL(amqpUrl);
  return { host: hostname, port: Number(port), user: username, pass: password };
}

/** What a client sends to be given a dataset. */
export function newClient(amqpUrl: string, clientId: string = randomUUID()) {
  const { host, port, user, pass } = clientBroker(amqpUrl);
  return {
    client_id: clientId,
    queue_name: `${clientId}-data-queue`,
    amqp_host: host,
    amqp_port: port,
    amqp_user: user,
    amqp_pass: pass,
  };
}

/** Connects as a client does. */
export async function connectClient(amqpUrl: string): Promise<ChannelModel> {
  const { host, port, user, pass } = clientBroker(amqpUrl);
  const model = await connect({ hostname: host, port, username: user, password: pass }, { noDelay: true });
  model.on('error', () => {});
  return model;
}

/** Asks by HTTP. Rejects with the problem unless it is accepted. */
export async function askForDataset(baseUrl: string, client: object): Promise<string> {
  const { status, body } = await ask(baseUrl, client);
  if (status !== 202) throw new Error(`${status} ${body}`);
  return (JSON.parse(body) as { stream_id: string }).stream_id;
}

async function ask(baseUrl: string, client: object): Promise<{ status: number; body: string }> {
  const response = await fetch(`${baseUrl}/clients`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(client),
  });
  return { status: response.status, body: await response.text() };
}

/**
 * Declares the queue of a new client, consumes it, and then asks for the dataset at `baseUrl`. After the broker was
 * restarted call `consume` again.
 */
export async function startDatasetConsumer({
  baseUrl,
  amqpUrl,
  model,
}: {
  baseUrl: string;
  amqpUrl: string;
  model: ChannelModel;
}): Promise<DatasetConsumer & { consume(model: ChannelModel): Promise<void> }> {
  const client = newClient(amqpUrl);
  const received: Received[] = [];
  const { promise: complete, resolve } = Promise.withResolvers<number>();
  let current = model;
  let startedMs = 0;

  async function consume(on: ChannelModel): Promise<void> {
    current = on;
    const channel = await on.createChannel();
    channel.on('error', () => {});
    await channel.assertQueue(client.queue_name, { durable: true });
    await channel.prefetch(100);
    await channel.consume(client.queue_name, (message) => {
      if (!message) return;
      received.push(toReceived(message));
      channel.ack(message);
      if (isComplete(received)) resolve(performance.now() - startedMs);
    });
  }

  await consume(model);
  startedMs = performance.now();
  // Nothing was sent when it is 503, and a busy machine says that to some of many who ask at once.
  const answer = await eventually(async () => {
    const { status, body } = await ask(baseUrl, client);
    assert.notEqual(status, 503, body);
    return { status, body };
  });
  assert.equal(answer.status, 202, answer.body);
  return {
    clientId: client.client_id,
    queue: client.queue_name,
    received,
    complete,
    consume,
    async close() {
      const channel = await current.createChannel();
      await channel.deleteQueue(client.queue_name);
      await channel.close();
    },
  };
}

/** How many messages wait in a queue; 0 when there is none. */
export async function readyIn(model: ChannelModel, queue: string): Promise<number> {
  const channel = await model.createChannel();
  channel.on('error', () => {});
  try {
    const { messageCount } = await channel.checkQueue(queue);
    await channel.close();
    return messageCount;
  } catch {
    return 0;
  }
}

/** Takes what waits in a queue, and deletes it. */
export async function takeAll(model: ChannelModel, queue: string): Promise<GetMessage[]> {
  const channel = await model.createChannel();
  const messages: GetMessage[] = [];
  for (;;) {
    const message = await channel.get(queue, { noAck: true });
    if (!message) break;
    messages.push(message);
  }
  await channel.deleteQueue(queue);
  await channel.close();
  return messages;
}

/** The indexes in the order in which each came first. */
export function firstOccurrences(received: readonly Received[]): number[] {
  return [...new Set(received.map(({ index }) => index))];
}

/** Indexes that were published more than once. */
export function repetitions(received: readonly Received[]): number[] {
  const seen = new Set<number>();
  return received.flatMap(({ index, isRedelivered }) => {
    const isRepeated = seen.has(index) && !isRedelivered;
    seen.add(index);
    return isRepeated ? [index] : [];
  });
}

/** Indexes that came with bodies that differ. */
export function contradictions(received: readonly Received[]): number[] {
  const digests = new Map<number, string>();
  return received.flatMap(({ index, digest }) => {
    const known = digests.get(index);
    digests.set(index, digest);
    return known === undefined || known === digest ? [] : [index];
  });
}

/** What is remembered of a message. */
export function toReceived({ content, fields, properties }: ConsumeMessage): Received {
  const headers = properties.headers ?? {};
  return {
    index: headers.batch_index,
    isLast: headers.is_last_batch,
    streamId: headers.stream_id,
    digest: createHash('sha256').update(content).digest('hex'),
    bytes: content.length,
    traceparent: headers.traceparent,
    isRedelivered: fields.redelivered,
  };
}

/** Whether the last batch and all before it have come. */
export function isComplete(received: readonly Received[]): boolean {
  const last = received.findLast(({ isLast }) => isLast);
  return last !== undefined && new Set(received.map(({ index }) => index)).size === last.index + 1;
}
