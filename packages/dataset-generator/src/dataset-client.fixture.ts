/** A client of the dataset service, for tests. */
import type { TestContext } from 'node:test';
import {
  type ClientReadableStream,
  credentials,
  type GrpcObject,
  loadPackageDefinition,
  type ServiceClientConstructor,
  type ServiceError,
} from '@grpc/grpc-js';
import { loadProto } from '@waybill/common/grpc/proto.ts';

export type DataBatch = { data: Buffer; batch_index: number; is_last_batch: boolean };
type Answer = Record<string, unknown>;

/** Connects to the service at `port`; ends with the test. */
export function connectToDatasets(t: TestContext, port: number) {
  const loaded = loadPackageDefinition(loadProto('dataset_service.proto')).dataset_service as GrpcObject;
  const DatasetService = loaded.DatasetService as ServiceClientConstructor;
  const client = new DatasetService(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': 100 * 1024 * 1024,
  });
  t.after(() => client.close());
  return {
    /** Calls a unary method; rejects with the gRPC error. */
    call: (method: string, request: object): Promise<Answer> =>
      new Promise((resolve, reject) =>
        client[method]?.(request, (error: ServiceError | null, answer: Answer) =>
          error ? reject(error) : resolve(answer),
        ),
      ),
    stream: (request: object): ClientReadableStream<DataBatch> =>
      client.StreamBatches?.(request) as unknown as ClientReadableStream<DataBatch>,
  };
}
