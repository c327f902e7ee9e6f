import { freePort } from '../harness/free-port.ts';
import { type Service, startService } from '../harness/service.ts';

export type TierName = 'public-web' | 'dispatcher' | 'ping-listener';

export type SystemOptions = {
  /** The broker's URL. */
  amqpUrl: string;
  /** How many of each; default one. */
  counts?: Partial<Record<TierName, number>>;
  /** The order in which the tiers start; each waits until the one before it listens. */
  order?: readonly TierName[];
  /** For every process. */
  env?: Record<string, string>;
};

export type System = {
  publicWebs: Service[];
  dispatchers: Service[];
  pingListeners: Service[];
  /** Stops a dispatcher, and starts another one on its port. */
  replaceDispatcher(index: number): Promise<void>;
  /** Stops everything; rejects unless every process exits 0. */
  stop(): Promise<void>;
};

export const TIERS: readonly TierName[] = ['dispatcher', 'ping-listener', 'public-web'];

/** A secret for tests. */
export const INTERNAL_SECRETS = 'a secret of the tests with more than 32 characters';

/** Starts all tiers as processes and resolves when each is ready. */
export async function startSystem({
  amqpUrl,
  counts = {},
  order = TIERS,
  env = {},
}: SystemOptions): Promise<System> {
  // Known beforehand, so that public-web may start before the dispatchers.
  const dispatcherPorts = await Promise.all(Array.from({ length: counts.dispatcher ?? 1 }, freePort));
  const envs: Record<TierName, Record<string, string>> = {
    dispatcher: { AMQP_URL: amqpUrl, INTERNAL_SECRETS, ...env },
    'ping-listener': { AMQP_URL: amqpUrl, ...env },
    'public-web': {
      DISPATCHER_URLS: dispatcherPorts.map((port) => `http://127.0.0.1:${port}`).join(','),
      INTERNAL_SECRETS,
      ...env,
    },
  };
  const startDispatcher = (port: number) =>
    startService({ name: 'dispatcher', env: { ...envs.dispatcher, PORT: String(port) } });

  const services: Record<TierName, Service[]> = { 'public-web': [], dispatcher: [], 'ping-listener': [] };
  const all = () => Object.values(services).flat();
  const startTier = (tier: TierName) =>
    tier === 'dispatcher'
      ? dispatcherPorts.map(startDispatcher)
      : Array.from({ length: counts[tier] ?? 1 }, () => startService({ name: tier, env: envs[tier] }));
  try {
    for (const tier of order) services[tier] = await Promise.all(startTier(tier));
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
