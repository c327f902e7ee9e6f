/**
 * data-dispatch-listener: sends a dataset, batch by batch, to each client's own queue; and to every client that connects by TCP.
 *
 *     NewClientRequest → dispatch-dataset (around it: one-at-a-time, progress, pause, hand-over)
 *         → client-connections, client-queue
 *         → send-chunk → stream-batches: dataset-source → queue-sink ─▶ the client's broker
 *     a TCP client → tcp-stream → stream-batches: dataset-source → socket-sink ─▶ the TCP client
 */
import { allowedBrokerOf } from '@waybill/common/credentials/broker-address.ts';
import { createCredentialsOpener } from '@waybill/common/credentials/sealed-credentials.ts';
import { NEW_CLIENT_TYPE } from '@waybill/common/event/event.ts';
import { warnOfFewOpenFiles } from '@waybill/common/process/open-files.ts';
import { runService } from '@waybill/common/process/run-service.ts';
import { connectListener } from '@waybill/listener/connect-listener.ts';
import { createClientConnections } from './client-connections.ts';
import { loadDataDispatchConfig } from './config.ts';
import { createDatasetSource } from './dataset-source.ts';
import { CONTINUATION } from './dataset-stream.ts';
import { createDispatchDataset } from './dispatch-dataset.ts';
import { createTcpStream } from './tcp-stream.ts';

/** A chunk takes 1 s, and ends by itself after 30 s; this is for what nobody foresaw. */
const CHUNK_TIMEOUT_MS = 60_000;

await runService(loadDataDispatchConfig, async ({ config, log }) => {
  warnOfFewOpenFiles(log, { TCP_MAX_CONNECTIONS: config.TCP_MAX_CONNECTIONS });
  const dataset = { name: config.DATASET_NAME, batchSize: config.BATCH_SIZE };
  const source = createDatasetSource({
    address: config.DATASET_SERVICE_ADDR,
    maxRetries: config.MAX_RETRIES,
  });
  const connections = createClientConnections();
  const tcp = await createTcpStream({
    host: config.HOST,
    port: config.TCP_PORT,
    maxConnections: config.TCP_MAX_CONNECTIONS,
    stallMs: config.TCP_STALL_MS,
    read: source.reader(dataset),
    log,
  });

  const handle = createDispatchDataset({
    source,
    connections,
    credentials: createCredentialsOpener(config.CREDENTIALS_PRIVATE_KEYS),
    allowedBrokers: config.CLIENT_BROKERS ?? [allowedBrokerOf(config.AMQP_URL)],
    dataset,
    maxRetries: config.MAX_RETRIES,
    maxReady: config.CLIENT_QUEUE_MAX_READY,
    maxPauseMs: config.CLIENT_QUEUE_MAX_PAUSE_MS,
  });
  const handler = { handle, maxAttempts: config.CHUNK_ATTEMPTS, timeoutMs: CHUNK_TIMEOUT_MS };
  const listener = await connectListener({
    service: 'data-dispatch',
    handlers: { [NEW_CLIENT_TYPE]: handler, [CONTINUATION]: handler },
    config,
    log,
  });

  return {
    ports: { tcpPort: tcp.port },
    readiness: listener.readiness,
    facts: listener.facts,
    describe: listener.describe,
    drain: () => Promise.all([listener.drain(), tcp.close()]),
    close: () => Promise.all([listener.close(), connections.close(), source.close()]),
  };
});
