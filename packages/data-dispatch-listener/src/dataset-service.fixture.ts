/** A dataset service for tests, whose batches say which they are, and which can be made to misbehave. */
import { Server, ServerCredentials, status } from '@grpc/grpc-js';
import type { DatasetServiceHandlers } from '@waybill/common/grpc/generated/dataset_service/DatasetService.ts';
import type { GetBatchRequest__Output } from '@waybill/common/grpc/generated/dataset_service/GetBatchRequest.ts';
import { loadPackage } from '@waybill/common/grpc/proto.ts';

export type DatasetServiceFixture = {
  /** `host:port`. */
  address: string;
  port: number;
  /** Every call of GetBatch so far. */
  calls: GetBatchRequest__Output[];
  /** What the next calls end with; undefined answers, `hang` never does. */
  setFault(fault: status | 'hang' | undefined): void;
  stop(): void;
};

/** The samples of batch `index`: its number, over and over. */
export function samplesOf(index: number, bytes: number): Buffer {
  return Buffer.alloc(bytes, `${index} `);
}

/** Starts a service with one dataset, `test`, of `batches` batches of `bytes` bytes. */
export async function startDatasetService({
  batches,
  bytes,
  port = 0,
}: {
  batches: number;
  bytes: number;
  port?: number;
}): Promise<DatasetServiceFixture> {
  const calls: GetBatchRequest__Output[] = [];
  let fault: status | 'hang' | undefined;

  const GetBatch: DatasetServiceHandlers['GetBatch'] = ({ request }, callback) => {
    calls.push(request);
    const { dataset_name: name, batch_index: index } = request;
    const fail = (code: status, details: string) => callback({ code, details });
    if (fault === 'hang') return;
    if (fault !== undefined) return fail(fault, 'as the test wants');
    if (name !== 'test') return fail(status.NOT_FOUND, 'Dataset not found');
    if (index >= batches) return fail(status.OUT_OF_RANGE, 'Batch index out of range');
    callback(null, {
      data: samplesOf(index, bytes),
      batch_index: index,
      is_last_batch: index === batches - 1,
    });
  };

  const server = new Server();
  const { DatasetService } = loadPackage('dataset_service.proto').dataset_service;
  server.addService(DatasetService.service, { GetBatch });
  const bound = await new Promise<number>((resolve, reject) =>
    server.bindAsync(`127.0.0.1:${port}`, ServerCredentials.createInsecure(), (error, chosen) =>
      error ? reject(error) : resolve(chosen),
    ),
  );
  return {
    address: `127.0.0.1:${bound}`,
    port: bound,
    calls,
    setFault(next) {
      fault = next;
    },
    stop: () => server.forceShutdown(),
  };
}
