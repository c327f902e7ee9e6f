/** `dataset_service.DatasetService`: see `proto/dataset_service.proto`. */
import { once } from 'node:events';
import { type handleUnaryCall, type ServerWritableStream, type ServiceError, status } from '@grpc/grpc-js';
import { AppError } from '@waybill/common/errors.ts';
import type { DataBatch } from '@waybill/common/grpc/generated/dataset_service/DataBatch.ts';
import type { DatasetServiceHandlers } from '@waybill/common/grpc/generated/dataset_service/DatasetService.ts';
import type { StreamBatchesRequest__Output } from '@waybill/common/grpc/generated/dataset_service/StreamBatchesRequest.ts';
import { untilAnswered } from '@waybill/common/grpc/until-answered.ts';
import type { Logger } from 'pino';
import { type Dataset, sliceBatch } from './dataset.ts';
import type { Datasets } from './datasets.ts';

/** Of the samples in one message: the largest one, from the contract, less the fields beside them. */
const MAX_ANSWER_DATA_BYTES = 100 * 1024 * 1024 - 64;

/** What a call ends with instead of an answer. */
class Refusal extends Error {
  readonly code: status;

  constructor(code: status, details: string) {
    super(details);
    this.code = code;
  }
}

/** Creates the service of `datasets`. */
export function createDatasetService({
  datasets,
  log,
}: {
  datasets: Datasets;
  log: Logger;
}): DatasetServiceHandlers {
  return {
    GetBatch: unary(log, async ({ dataset_name, batch_size, batch_index }) => {
      const dataset = await findOr(datasets.find, dataset_name);
      checkBatchSize(dataset, batch_size);
      return toBatch(dataset, batch_size, batch_index);
    }),

    GetDatasetInfo: unary(log, async ({ dataset_name }) => {
      const { samples, sampleShape, dataType, isSynthetic } = await findOr(datasets.find, dataset_name);
      return {
        dataset_name: isSynthetic ? `${dataset_name} (synthetic)` : dataset_name,
        total_samples: samples,
        sample_shape: sampleShape,
        data_type: dataType,
        is_available: true,
      };
    }),

    HealthCheck: unary(log, async () => ({ status: 'SERVING', message: 'Service is healthy.' })),

    async StreamBatches(call) {
      try {
        await untilAnswered(call, (gone) => streamBatches(call, datasets, gone));
        call.end();
      } catch (thrown) {
        call.emit('error', toStatus(thrown, log));
      }
    },
  };
}

/** No faster than the client reads. */
async function streamBatches(
  call: ServerWritableStream<StreamBatchesRequest__Output, DataBatch>,
  datasets: Datasets,
  gone: AbortSignal,
): Promise<void> {
  const { dataset_name, batch_size, shuffle, max_batches } = call.request;
  if (max_batches < 0) throw new Refusal(status.INVALID_ARGUMENT, 'max_batches must not be negative');
  const dataset = await findOr(shuffle ? datasets.findShuffled : datasets.find, dataset_name);
  checkBatchSize(dataset, batch_size);
  const all = Math.ceil(dataset.samples / batch_size);
  const count = max_batches === 0 ? all : Math.min(max_batches, all);
  for (let index = 0; index < count && !gone.aborted; index += 1) {
    const batch = { ...toBatch(dataset, batch_size, index), is_last_batch: index === count - 1 };
    if (!call.write(batch)) await once(call, 'drain', { signal: gone }).catch(() => {});
  }
}

async function findOr(find: Datasets['find'], name: string): Promise<Dataset> {
  const dataset = await find(name);
  if (!dataset) throw new Refusal(status.NOT_FOUND, 'Dataset not found');
  return dataset;
}

function checkBatchSize({ data, samples }: Dataset, batchSize: number): void {
  if (batchSize < 1) throw new Refusal(status.INVALID_ARGUMENT, 'batch_size must be 1 or more');
  const largest = Math.floor(MAX_ANSWER_DATA_BYTES / (data.length / samples));
  if (Math.min(batchSize, samples) > largest)
    throw new Refusal(
      status.INVALID_ARGUMENT,
      `batch_size must be at most ${largest} for this dataset (100 MB a message)`,
    );
}

function toBatch(dataset: Dataset, batchSize: number, index: number): DataBatch {
  const batch = sliceBatch(dataset, { batchSize, index });
  if (!batch) throw new Refusal(status.OUT_OF_RANGE, 'Batch index out of range');
  return { data: batch.data, batch_index: index, is_last_batch: batch.isLast };
}

function unary<Request, Answer>(
  log: Logger,
  answer: (request: Request) => Promise<Answer>,
): handleUnaryCall<Request, Answer> {
  return ({ request }, callback) => {
    answer(request).then(
      (message) => callback(null, message),
      (thrown) => callback(toStatus(thrown, log)),
    );
  };
}

/** A broken file is the operator's matter, and the log tells what is wrong with it. */
function toStatus(thrown: unknown, log: Logger): Partial<ServiceError> {
  if (thrown instanceof Refusal) return { code: thrown.code, details: thrown.message };
  log.error({ err: thrown }, 'call failed');
  if (thrown instanceof AppError && thrown.code === 'invalid-dataset')
    return { code: status.FAILED_PRECONDITION, details: 'Dataset cannot be read' };
  if (thrown instanceof AppError && thrown.code === 'dataset-unavailable')
    return { code: status.UNAVAILABLE, details: 'Dataset cannot be read now' };
  return { code: status.INTERNAL, details: 'Internal error' };
}
