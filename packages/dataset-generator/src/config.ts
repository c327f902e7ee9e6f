import { count, loadConfig, logLevel, port, shutdownPause, str } from '@waybill/common/config.ts';
import { tlsRelation, tlsSettings } from '@waybill/common/http/tls.ts';

/** Settings of dataset-generator. */
export const datasetGeneratorSettings = {
  HOST: str({ default: '127.0.0.1', desc: 'Address the ports bind to' }),
  GRPC_PORT: port({ default: 50061, desc: 'Port of the dataset service (gRPC)' }),
  HEALTH_PORT: port({ default: 8087, desc: 'Port of /health/live and /health/ready' }),
  DATASETS_DIR: str({
    default: undefined,
    desc: 'Folder with the files of datasets; without it there is a synthetic mnist only',
  }),
  SHUFFLE_SEED: count({ default: 1, desc: 'Decides the order of a shuffled stream' }),
  ...tlsSettings,
  SHUTDOWN_PAUSE_MS: shutdownPause(),
  LOG_LEVEL: logLevel(),
};

/** Reads and checks the settings; throws one error that names every fault. */
export const loadDatasetGeneratorConfig = (env?: NodeJS.ProcessEnv) =>
  loadConfig(datasetGeneratorSettings, env, [tlsRelation]);
