/** A client of the dataset service, for tests. */
import type { TestContext } from 'node:test';
import { credentials, type requestCallback } from '@grpc/grpc-js';
import type { DataBatch__Output } from '@waybill/common/grpc/generated/dataset_service/DataBatch.ts';
import type { DatasetInfo__Output } from '@waybill/common/grpc/generated/dataset_service/DatasetInfo.ts';
import type { HealthCheckResponse__Output } from '@waybill/common/grpc/generated/dataset_service/HealthCheckResponse.ts';
import type { StreamBatchesRequest } from '@waybill/common/grpc/generated/dataset_service/StreamBatchesRequest.ts';
import { loadPackage } from '@waybill/common/grpc/proto.ts';

type Answers = {
  GetBatch: DataBatch__Output;
  GetDatasetInfo: DatasetInfo__Output;
  HealthCheck: HealthCheckResponse__Output;
};

/** Connects to the service at `port`; ends with the test. */
export function connectToDatasets(t: TestContext, port: number) {
  const { DatasetService } = loadPackage('dataset_service.proto').dataset_service;
  const client = new DatasetService(`127.0.0.1:${port}`, credentials.createInsecure(), {
    'grpc.max_receive_message_length': 100 * 1024 * 1024,
  });
  t.after(() => client.close());
  return {
    /** Calls a unary method; rejects with the gRPC error. */
    call: <Method extends keyof Answers>(method: Method, request: object) =>
      new Promise<Answers[Method]>((resolve, reject) => {
        const callback: requestCallback<Answers[Method]> = (error, answer) =>
          answer ? resolve(answer) : reject(error);
        Reflect.apply(client[method], client, [request, callback]);
      }),
    stream: (request: StreamBatchesRequest) => client.StreamBatches(request),
  };
}
