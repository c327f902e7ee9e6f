/** Clients that ask for a dataset each at an even pace, and take what comes, through every fault of their broker. */
import { setTimeout as delay } from 'node:timers/promises';
import { breakConnection } from '@waybill/common/broker/amqp-connection.ts';
import { within } from '@waybill/common/within.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { Channel, ChannelModel } from 'amqplib';
import { connectClient, isComplete, newClient, type Received, toReceived } from '../e2e/dataset-consumer.ts';
import { fromError, type Operation, outcomeOf } from './operation.ts';

/** A hundred batches each. */
const PER_S = 2;
const RECONNECT_MS = 100;
const DECLARE_MS = 1_000;
/** Longer than any deadline of a run, and than its public-web may be frozen besides. */
const ANSWER_MS = 60_000;
/** A chunk that was put aside is tried again every 5 s, and a stream has four. */
const WHOLE_MS = 60_000;

/** A stream that a client has asked for. `accepted`: 202, so that it must come, or end as a dead letter. */
export type StreamOperation = Pick<Operation, 'publicWeb' | 'startMs' | 'status' | 'code' | 'detail'> & {
  clientId: string;
  outcome: 'accepted' | Exclude<Operation['outcome'], 'answered'>;
  received: Received[];
};

export type StreamLoad = {
  /** Asks for no more; resolves when all is complete that was accepted or has begun, or after a minute. */
  stop(): Promise<StreamOperation[]>;
  /** Deletes the queues, which may get messages once more until all is done. */
  close(): Promise<void>;
};

/**
 * Starts them.
 *
 * @param options.clientsUrl the broker as clients name it to public-web.
 * @param options.amqpUrl the same broker as they take their messages from it.
 */
export function startStreamLoad({
  urls,
  clientsUrl,
  amqpUrl,
}: {
  urls: readonly string[];
  clientsUrl: string;
  amqpUrl: string;
}): StreamLoad {
  const operations: StreamOperation[] = [];
  const asking = new Set<Promise<void>>();
  let channel: Channel | undefined;
  let model: ChannelModel | undefined;
  let [isAsking, isOver] = [true, false];

  async function consume(on: Channel, { clientId, received }: StreamOperation): Promise<void> {
    const queue = queueOf(clientId);
    await on.assertQueue(queue, { durable: true });
    await on.consume(queue, (message) => {
      if (!message || on !== channel) return;
      received.push(toReceived(message));
      try {
        on.ack(message);
      } catch {
        // The channel is closing: it comes again.
      }
    });
  }

  async function keepConsuming(): Promise<void> {
    while (!isOver) {
      try {
        const connected = await connectClient(amqpUrl);
        const closed = new Promise((resolve) => connected.once('close', resolve));
        model = connected;
        const opened = await connected.createChannel();
        opened.on('error', (error) => breakConnection(connected, error));
        channel = opened;
        closed.then(() => {
          channel = undefined;
        });
        // Unread they would only wait: which of them go on is not known here.
        await Promise.race([closed, Promise.all(operations.map((operation) => consume(opened, operation)))]);
        await closed;
      } catch {
        // The broker is away.
      }
      channel = undefined;
      await delay(RECONNECT_MS);
    }
  }

  async function ask(turn: number): Promise<void> {
    const publicWeb = turn % urls.length;
    const client = newClient(clientsUrl);
    const operation: StreamOperation = {
      ...{ clientId: client.client_id, publicWeb, startMs: Date.now(), received: [] },
      ...{ outcome: 'refused', status: 0, code: 'no-queue', detail: 'the client has no queue' },
    };
    const on = channel;
    // Without a queue there is nothing to ask for.
    if (!on || !(await within(DECLARE_MS, consume(on, operation)).catch(() => false))) return;
    operations.push(operation);
    Object.assign(operation, await post(urls[publicWeb] as string, client));
  }

  async function keepAsking(): Promise<void> {
    for (let turn = 0; isAsking; turn += 1) {
      const asked = ask(turn);
      asking.add(asked);
      asked.finally(() => asking.delete(asked));
      await delay(1_000 / PER_S);
    }
    await Promise.all(asking);
  }

  const consuming = keepConsuming();
  const asked = keepAsking();
  return {
    async stop() {
      isAsking = false;
      await asked;
      const haveAll = () => {
        if (operations.some(isOwed)) throw new Error('a stream is not complete');
      };
      await eventually(haveAll, { timeoutMs: WHOLE_MS, intervalMs: 100 }).catch(() => {});
      return operations;
    },
    async close() {
      isOver = true;
      for (const { clientId } of operations) await channel?.deleteQueue(queueOf(clientId));
      await model?.close();
      await consuming;
    },
  };
}

/** Whether more of it must come: it was accepted, or has begun, and is not complete. */
export function isOwed({ outcome, received }: StreamOperation): boolean {
  return (outcome === 'accepted' || received.length > 0) && !isComplete(received);
}

const queueOf = (clientId: string) => `${clientId}-data-queue`;

async function post(
  url: string,
  client: object,
): Promise<Pick<StreamOperation, 'outcome' | 'status' | 'code' | 'detail'>> {
  try {
    const response = await fetch(`${url}/clients`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(client),
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    const { code = '', detail = '' } = (await response.json()) as { code?: string; detail?: string };
    const { status } = response;
    return { outcome: status === 202 ? 'accepted' : outcomeOf(status, code), status, code, detail };
  } catch (error) {
    if ((error as Error).name === 'TimeoutError')
      return { outcome: 'wrong', status: 0, code: 'no-answer', detail: `none within ${ANSWER_MS} ms` };
    const cause = (error as Error).cause ?? error;
    return fromError(cause) as Pick<StreamOperation, 'outcome' | 'status' | 'code' | 'detail'>;
  }
}
