/**
 * dataset-generator: serves datasets in batches, by gRPC.
 *
 *     GetBatch, StreamBatches → dataset-service → datasets → idx, cifar, npy, synthetic
 */
import { createGrpcServer } from '@waybill/common/grpc/grpc-server.ts';
import { loadProto } from '@waybill/common/grpc/proto.ts';
import { keyPairOf } from '@waybill/common/http/tls.ts';
import { runService } from '@waybill/common/process/run-service.ts';
import { DRAIN_MS } from '@waybill/common/shutdown-bounds.ts';
import { loadDatasetGeneratorConfig } from './config.ts';
import { createDatasetService } from './dataset-service.ts';
import { createDatasets } from './datasets.ts';

/** A request has a name and three numbers. */
const MAX_RECEIVE_BYTES = 64 * 1024;
/** From the contract. */
const MAX_SEND_BYTES = 100 * 1024 * 1024;
/** Of answers that their callers have not taken yet: two of the largest, or 2,000 of the size that streams have. */
const MAX_UNREAD_BYTES = 2 * MAX_SEND_BYTES;
/** Each data-dispatch-listener has one. */
const MAX_CONNECTIONS = 100;

await runService(loadDatasetGeneratorConfig, async ({ config, log, isStopping }) => {
  const server = await createGrpcServer({
    services: [
      {
        definition: loadProto('dataset_service.proto'),
        name: 'dataset_service.DatasetService',
        implementation: createDatasetService({
          datasets: createDatasets({ folder: config.DATASETS_DIR, shuffleSeed: config.SHUFFLE_SEED, log }),
          log,
        }),
      },
    ],
    host: config.HOST,
    port: config.GRPC_PORT,
    tls: keyPairOf(config),
    isServing: () => !isStopping(),
    maxReceiveBytes: MAX_RECEIVE_BYTES,
    maxSendBytes: MAX_SEND_BYTES,
    maxConnections: MAX_CONNECTIONS,
    maxUnreadBytes: MAX_UNREAD_BYTES,
    bytesOf: (message) => (message as { data?: Buffer }).data?.length ?? 0,
    log,
  });
  return { ports: { port: server.port }, drain: () => server.close(DRAIN_MS) };
});
