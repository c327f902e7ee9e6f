import { freePort } from '@waybill/test-harness/free-port.ts';
import { type Service, startService } from '@waybill/test-harness/service.ts';
import { makePrivateKey, publicKeyOf } from '../../bin/plain/sealing-keys.mjs';

export type TierName =
  | 'public-web'
  | 'dispatcher'
  | 'ping-listener'
  | 'square-listener'
  | 'dataset-generator'
  | 'data-dispatch-listener';

export type SystemOptions = {
  /** The broker's URL. */
  amqpUrl: string;
  /** How many of each; default one, and none of square-listener and those that datasets need. More than one dataset-generator are idle. */
  counts?: Partial<Record<TierName, number>>;
  /** The order in which the tiers start; each waits until the one before it listens. Without one they start together. */
  order?: readonly TierName[];
  /** Called when all processes listen, before they are waited for to be ready. */
  onListening?(): Promise<void>;
  /** For every process. With `TLS_CERT_FILE` they call each other by TLS, as localhost. */
  env?: Record<string, string>;
  /** For the processes of one tier besides. */
  envs?: Partial<Record<TierName, Record<string, string>>>;
};

export type System = {
  publicWebs: Service[];
  dispatchers: Service[];
  pingListeners: Service[];
  squareListeners: Service[];
  datasetGenerators: Service[];
  dataDispatchListeners: Service[];
  /** Kills a service and forgets it. */
  kill(service: Service): Promise<void>;
  /** Kills the dataset-generator, and starts another one on its port; resolves when that is ready. */
  replaceDatasetGenerator(): Promise<void>;
  /** Stops a dispatcher, and starts another one on its port. */
  replaceDispatcher(index: number): Promise<void>;
  /** Stops everything; rejects unless every process exits 0. */
  stop(): Promise<void>;
};

/** What an answer to a ping needs. */
export const TIERS: readonly TierName[] = ['dispatcher', 'ping-listener', 'public-web'];
/** What a dataset needs besides. */
export const DATASET_TIERS: readonly TierName[] = ['dataset-generator', 'data-dispatch-listener'];

const OPTIONAL_TIERS: readonly TierName[] = [...DATASET_TIERS, 'square-listener'];

/** A secret for tests. */
export const INTERNAL_SECRETS = 'a secret of the tests with more than 32 characters';

/** Starts all tiers as processes and resolves when each is ready. */
export async function startSystem({
  amqpUrl,
  counts = {},
  order,
  onListening,
  env = {},
  envs: own = {},
}: SystemOptions): Promise<System> {
  // Known beforehand, so that public-web may start before the dispatchers.
  const dispatcherPorts = await Promise.all(Array.from({ length: counts.dispatcher ?? 1 }, freePort));
  const datasetPort = await freePort();
  const privateKey = makePrivateKey();
  const isTls = env.TLS_CERT_FILE !== undefined;
  const clientBrokers = { CLIENT_BROKERS: brokerOf(amqpUrl) };
  const envs: Record<TierName, Record<string, string>> = {
    'dataset-generator': { GRPC_PORT: String(datasetPort), ...env, ...own['dataset-generator'] },
    'data-dispatch-listener': {
      AMQP_URL: amqpUrl,
      CREDENTIALS_PRIVATE_KEYS: JSON.stringify([privateKey]),
      DATASET_SERVICE_ADDR: isTls ? `https://localhost:${datasetPort}` : `127.0.0.1:${datasetPort}`,
      TCP_PORT: '0',
      ...clientBrokers,
      ...env,
      ...own['data-dispatch-listener'],
    },
    dispatcher: { AMQP_URL: amqpUrl, INTERNAL_SECRETS, ...env, ...own.dispatcher },
    'ping-listener': { AMQP_URL: amqpUrl, ...env, ...own['ping-listener'] },
    'square-listener': { AMQP_URL: amqpUrl, ...env, ...own['square-listener'] },
    'public-web': {
      DISPATCHER_URLS: dispatcherPorts
        .map((port) => (isTls ? `https://localhost:${port}` : `http://127.0.0.1:${port}`))
        .join(','),
      INTERNAL_SECRETS,
      GRPC_PORT: '0',
      CREDENTIALS_PUBLIC_KEY: JSON.stringify(publicKeyOf(privateKey)),
      ...clientBrokers,
      ...env,
      ...own['public-web'],
    },
  };
  const startDispatcher = (port: number) =>
    startService({ name: 'dispatcher', env: { ...envs.dispatcher, PORT: String(port) } });

  const services: Record<TierName, Service[]> = {
    'public-web': [],
    dispatcher: [],
    'ping-listener': [],
    'square-listener': [],
    'dataset-generator': [],
    'data-dispatch-listener': [],
  };
  const countOf = (tier: TierName) => counts[tier] ?? (OPTIONAL_TIERS.includes(tier) ? 0 : 1);
  const all = () => Object.values(services).flat();
  const startTier = (tier: TierName) =>
    tier === 'dispatcher'
      ? dispatcherPorts.map(startDispatcher)
      : Array.from({ length: countOf(tier) }, () => startService({ name: tier, env: envs[tier] }));
  try {
    const start = async (tier: TierName) => {
      services[tier] = await Promise.all(startTier(tier));
    };
    if (order) for (const tier of order) await start(tier);
    else await Promise.all([...OPTIONAL_TIERS, ...TIERS].map(start));
    await onListening?.();
    await Promise.all(all().map((service) => service.ready()));
  } catch (error) {
    // What runs already would keep the test file alive.
    for (const service of all()) service.kill('SIGKILL');
    throw error;
  }

  return {
    publicWebs: services['public-web'],
    dispatchers: services.dispatcher,
    pingListeners: services['ping-listener'],
    squareListeners: services['square-listener'],
    datasetGenerators: services['dataset-generator'],
    dataDispatchListeners: services['data-dispatch-listener'],
    async kill(service) {
      for (const tier of Object.values(services)) {
        const index = tier.indexOf(service);
        if (index !== -1) tier.splice(index, 1);
      }
      await service.stop('SIGKILL');
    },
    async replaceDatasetGenerator() {
      await services['dataset-generator'][0]?.stop('SIGKILL');
      const replacement = await startService({ name: 'dataset-generator', env: envs['dataset-generator'] });
      services['dataset-generator'][0] = replacement;
      await replacement.ready();
    },
    async replaceDispatcher(index) {
      await services.dispatcher[index]?.stop();
      const replacement = await startDispatcher(dispatcherPorts[index] as number);
      await replacement.ready();
      services.dispatcher[index] = replacement;
    },
    async stop() {
      const exits = await Promise.all(
        all().map(async (service) => ({ name: service.name, ...(await service.stop()) })),
      );
      const failed = exits.filter(({ code }) => code !== 0);
      if (failed.length > 0) throw new Error(`did not exit 0: ${JSON.stringify(failed)}`);
    },
  };
}

/** As CLIENT_BROKERS lists it; host and port alone, without TLS. */
export function brokerOf(amqpUrl: string): string {
  const { protocol, host } = new URL(amqpUrl);
  return protocol === 'amqps:' ? `amqps://${host}` : host;
}

/** Where a public-web that has started takes gRPC calls, host:port. */
export function grpcAddressOf(publicWeb: Service): string {
  return `127.0.0.1:${publicWeb.logs.find(({ msg }) => msg === 'listening')?.grpcPort}`;
}

/** Where a data-dispatch-listener that has started streams by TCP. */
export function tcpPortOf(listener: Service): number {
  return listener.logs.find(({ tcpPort }) => tcpPort !== undefined)?.tcpPort as number;
}
