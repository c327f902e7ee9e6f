/** Clients that ask for datasets one after the other, and take each whole. */
import assert from 'node:assert/strict';
import { within } from '@waybill/common/within.ts';
import { eventually } from '@waybill/test-harness/eventually.ts';
import type { ChannelModel } from 'amqplib';
import { type Received, startDatasetConsumer } from '../e2e/dataset-consumer.ts';

const CLIENTS = 3;
/** Messages of all clients. */
const STEADY = 500;
/** A stream under way takes a second or two; a machine that is busy with other things may take its time. */
const PATIENCE_MS = 30_000;

export type Streams = {
  /** Resolves when so many more messages have come that the system can be said to work. */
  progress(): Promise<void>;
  /** Asks for no more; resolves with what came of each stream when all are complete, and rejects if they never are. */
  stop(): Promise<Received[][]>;
};

/** Starts to ask the public-webs at `urls` in turn. Who is told that nothing was sent asks again. */
export function startStreams({
  urls,
  amqpUrl,
  model,
}: {
  urls: readonly string[];
  amqpUrl: string;
  model: ChannelModel;
}): Streams {
  const streams: Received[][] = [];
  let isOver = false;
  const clients = Promise.all(Array.from({ length: CLIENTS }, (_, index) => streamOn(index)));
  // Told by stop().
  clients.catch(() => {});

  async function streamOn(first: number): Promise<void> {
    for (let turn = first; !isOver; turn += 1) {
      const baseUrl = urls[turn % urls.length] as string;
      const consumer = await startDatasetConsumer({ baseUrl, amqpUrl, model });
      streams.push(consumer.received);
      await consumer.complete;
      await consumer.close();
    }
  }

  const received = () => streams.reduce((sum, messages) => sum + messages.length, 0);
  return {
    async progress() {
      const before = received();
      await eventually(() => assert.ok(received() >= before + STEADY), { timeoutMs: PATIENCE_MS });
    },
    async stop() {
      isOver = true;
      assert.ok(await within(PATIENCE_MS, clients), 'a stream does not come to its end');
      return streams;
    },
  };
}
