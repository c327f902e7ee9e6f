/**
 * Batches from the dataset service, each asked for once however many clients want it: they are kept for a short while,
 * and read ahead of a reader that reads in order. Both are bounded in bytes.
 */
import { createSecureContext } from 'node:tls';
import { credentials, type ServiceError, status } from '@grpc/grpc-js';
import { backOff } from '@waybill/common/back-off.ts';
import { AppError } from '@waybill/common/errors.ts';
import type { DatasetServiceClient } from '@waybill/common/grpc/generated/dataset_service/DatasetService.ts';
import type { GetBatchRequest } from '@waybill/common/grpc/generated/dataset_service/GetBatchRequest.ts';
import { loadPackage } from '@waybill/common/grpc/proto.ts';
import { TerminalError } from '@waybill/listener/handler.ts';
import { LRUCache } from 'lru-cache';
import type { Batch, ReadBatch } from './stream-batches.ts';

/** A batch of 100 MB, the largest there is (contract), on a slow disk. */
const CALL_DEADLINE_MS = 5_000;
const RETRY = { baseMs: 100, capMs: 5_000 };
/** From the contract. */
const MAX_MESSAGE_BYTES = 100 * 1024 * 1024;
/** Of the samples of one batch: as base64, in JSON, they fit into the 16 MiB that RabbitMQ takes by default from 4.0 on. */
const MAX_SAMPLES_BYTES = 12 * 1000 * 1000;
/** All batches kept. A dataset of the size of MNIST fits; a larger one is fetched again for clients that are far apart. */
const CACHE_BYTES = 64 * 1024 * 1024;
/** A dataset that was replaced is noticed after this. */
const CACHE_TTL_MS = 60_000;
/** What is read ahead of one reader. */
const READ_AHEAD_BYTES = 2 * 1024 * 1024;
const READ_AHEAD_BATCHES = 16;

export type DatasetSource = {
  /**
   * A reader of one dataset.
   *
   * It rejects with a TerminalError `dataset-not-found` or `dataset-refused` (the batch size, say), or with
   * AppError `dataset-unavailable` when the service did not answer `maxRetries` + 1 calls.
   */
  reader(dataset: { name: string; batchSize: number }): ReadBatch;
  close(): void;
};

const { DatasetService } = loadPackage('dataset_service.proto').dataset_service;

/** Connects, lazily, to the dataset service at `address`: `host:port`, or `https://host:port` for TLS. */
export function createDatasetSource({
  address,
  maxRetries,
}: {
  address: string;
  maxRetries: number;
}): DatasetSource {
  const client = createClient(address);
  const lastIndexes = new Map<string, number>();
  const cache = new LRUCache<string, Batch>({
    maxSize: CACHE_BYTES,
    sizeCalculation: ({ base64 }) => base64.length,
    ttl: CACHE_TTL_MS,
    // A reader that no longer waits does not end the call of the others.
    ignoreFetchAbort: true,
    fetchMethod: (key) => fetchBatch(...(JSON.parse(key) as [string, number, number])),
  });

  async function fetchBatch(name: string, batchSize: number, index: number): Promise<Batch> {
    for (let failures = 0; ; ) {
      try {
        return await getBatch(client, { dataset_name: name, batch_size: batchSize, batch_index: index });
      } catch (error) {
        failures += 1;
        if (error instanceof TerminalError || failures > maxRetries) throw error;
        await backOff(failures, RETRY);
      }
    }
  }

  return {
    reader({ name, batchSize }) {
      const dataset = JSON.stringify([name, batchSize]);
      const fetch = async (index: number) => cache.forceFetch(JSON.stringify([name, batchSize, index]));
      let lastRead: number | undefined;
      const readAhead = (batch: Batch) => {
        const ahead = Math.min(READ_AHEAD_BATCHES, Math.floor(READ_AHEAD_BYTES / batch.base64.length));
        const end = Math.min(batch.index + ahead, lastIndexes.get(dataset) ?? Number.POSITIVE_INFINITY);
        // A reader that goes on in order has asked for the nearer ones already.
        const isInOrder = batch.index - 1 === lastRead;
        lastRead = batch.index;
        // The reader of that batch meets its error.
        for (let index = isInOrder ? end : batch.index + 1; index <= end; index += 1)
          fetch(index).catch(() => {});
      };
      return async (index, signal) => {
        const batch = await abortable(fetch(index), signal);
        if (batch.isLast) lastIndexes.set(dataset, index);
        else readAhead(batch);
        return batch;
      };
    },
    close: () => client.close(),
  };
}

function createClient(address: string): DatasetServiceClient {
  const target = address.replace(/^https:\/\//, '');
  // Not createSsl: variables of gRPC's own would decide there which authorities are trusted.
  const security =
    target === address
      ? credentials.createInsecure()
      : credentials.createFromSecureContext(createSecureContext());
  return new DatasetService(target, security, {
    // Meant for the web: a proxy that the environment names would get what is for the inside.
    'grpc.enable_http_proxy': 0,
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    // A service that was restarted is found again soon.
    'grpc.initial_reconnect_backoff_ms': 100,
    'grpc.max_reconnect_backoff_ms': 2_000,
    'grpc.keepalive_time_ms': 10_000,
    'grpc.keepalive_timeout_ms': 5_000,
  });
}

function getBatch(
  client: DatasetServiceClient,
  request: GetBatchRequest & { batch_index: number },
): Promise<Batch> {
  const deadline = new Date(Date.now() + CALL_DEADLINE_MS);
  return new Promise((resolve, reject) => {
    client.GetBatch(request, { deadline }, (error, batch) => {
      if (error || !batch) return reject(toDatasetError(error));
      if (batch.data.length > MAX_SAMPLES_BYTES) return reject(tooLarge(batch.data.length));
      const base64 = Buffer.from(batch.data.toString('base64'), 'latin1');
      resolve({ index: request.batch_index, isLast: batch.is_last_batch, base64 });
    });
  });
}

function tooLarge(bytes: number): Error {
  const message = `a batch has ${bytes} bytes, more than ${MAX_SAMPLES_BYTES} (setting BATCH_SIZE)`;
  return new TerminalError('dataset-refused', message);
}

const REFUSALS: ReadonlySet<status | undefined> = new Set([
  status.INVALID_ARGUMENT,
  status.OUT_OF_RANGE,
  status.FAILED_PRECONDITION,
  status.UNIMPLEMENTED,
]);

/** The service's own words, or the library's with addresses in them, are the cause: readers of the TCP stream see the rest. */
function toDatasetError(error: ServiceError | null | undefined): Error {
  const options = { cause: new Error(error?.details ?? 'an empty answer') };
  if (error?.code === status.NOT_FOUND)
    return new TerminalError('dataset-not-found', 'there is no such dataset', options);
  if (REFUSALS.has(error?.code))
    return new TerminalError('dataset-refused', 'the dataset service refuses to give it', options);
  return new AppError('dataset-unavailable', 'the dataset service does not answer', options);
}

async function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  promise.catch(() => {});
  signal.throwIfAborted();
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
