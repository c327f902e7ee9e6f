/** Processes started one by one, each with settings of its own, for the test of one fault. */
import { freePort } from '@waybill/test-harness/free-port.ts';
import { type Service, type StartServiceOptions, startService } from '@waybill/test-harness/service.ts';

/** A secret for tests. */
export const INTERNAL_SECRETS = 'a secret of the fault tests with more than 32 characters';

export type Tiers = {
  /** Starts a process beside those that run; resolves when it is ready. Its `env` wins over the usual one. */
  start(options: StartServiceOptions): Promise<Service>;
  /** Starts a dispatcher on `port`, by default the one that public-webs know. */
  startDispatcher(env?: Record<string, string>, port?: number): Promise<Service>;
  /** Starts a public-web; resolves when it listens where it is not to become ready. */
  startPublicWeb(env?: Record<string, string>, options?: { becomesReady?: boolean }): Promise<Service>;
  /** Starts the listener whose handlers misbehave as they are asked to; its types are `behaviours.<behaviour>`. */
  startBehaviours(env?: Record<string, string>): Promise<Service>;
  /** Stops one by SIGTERM; rejects unless it exits 0. */
  stop(service: Service): Promise<void>;
  /** Stops all that run, as {@link stop}; resolving shows that none of them ended by itself. */
  stopAll(): Promise<void>;
};

/** What starts tiers on the broker at `amqpUrl`. */
export async function createTiers(amqpUrl: string): Promise<Tiers> {
  const dispatcherPort = await freePort();
  const running = new Set<Service>();
  const usual = { AMQP_URL: amqpUrl, INTERNAL_SECRETS, LOG_LEVEL: 'debug' };

  async function start(
    { env, ...options }: StartServiceOptions,
    { becomesReady = true } = {},
  ): Promise<Service> {
    const service = await startService({ ...options, env: { ...usual, ...env } });
    running.add(service);
    if (becomesReady) await service.ready();
    return service;
  }

  async function stop(service: Service): Promise<void> {
    running.delete(service);
    const exit = await service.stop();
    if (exit.code !== 0) throw new Error(`${service.name} did not exit 0: ${JSON.stringify(exit)}`);
  }

  return {
    start,
    stop,
    startDispatcher: (env = {}, port = dispatcherPort) =>
      start({ name: 'dispatcher', env: { PORT: String(port), ...env } }),
    startPublicWeb: (env = {}, options = {}) =>
      start(
        {
          name: 'public-web',
          env: {
            DISPATCHER_URLS: `http://127.0.0.1:${dispatcherPort}`,
            PUBLIC_EVENT_TYPES: 'PingRequest,behaviours.*',
            ...env,
          },
        },
        options,
      ),
    startBehaviours: (env = {}) =>
      start({ name: 'behaviours', main: 'packages/listener/src/behaviours-program.fixture.ts', env }),
    async stopAll() {
      const ends = await Promise.allSettled([...running].map(stop));
      const failed = ends.filter((end) => end.status === 'rejected');
      if (failed.length > 0) throw new AggregateError(failed.map(({ reason }) => reason));
    },
  };
}
