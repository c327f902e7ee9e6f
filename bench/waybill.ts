import { randomBytes } from 'node:crypto';
import { type BenchProcess, startProcess, WAYBILL_PRELOAD } from './start-process.ts';

export type WaybillOptions = {
  amqpUrl: string;
  /** The listener's program and its settings; default: ping-listener. */
  listener?: { program: string; env?: Record<string, string | number> };
  /** Processes of each tier; default 1. */
  instances?: number;
  /** The database of a store; without it there is no store. */
  databaseUrl?: string;
  /** What every process loads before its program, besides what services do. */
  preload?: readonly string[];
  /** Settings of public-web, besides those that lead from tier to tier. */
  publicWebEnv?: Record<string, string | number>;
  /** Settings of every process. */
  env?: (name: string) => Record<string, string>;
};

export type Waybill = {
  /** Where each public-web answers. */
  urls: string[];
  publicWebs: BenchProcess[];
  dispatchers: BenchProcess[];
  /** One, if there is a store. */
  stores: BenchProcess[];
  listeners: BenchProcess[];
  processes: BenchProcess[];
};

/** Starts the three tiers, and a store where it has a database, on free ports, as `npm start` runs them; they may not be ready yet. */
export async function startWaybill(options: WaybillOptions): Promise<Waybill> {
  const { amqpUrl, databaseUrl, instances = 1, preload = [], env = () => ({}) } = options;
  const { listener = { program: 'packages/ping-listener/src/main.ts' }, publicWebEnv = {} } = options;
  const common = {
    INTERNAL_SECRETS: randomBytes(32).toString('base64url'),
    AMQP_URL: amqpUrl,
    PORT: 0,
    INTERNAL_PORT: 0,
    HEALTH_PORT: 0,
    GRPC_PORT: 0,
  };
  const start = (name: string, program: string, tierEnv: Record<string, string | number> = {}) =>
    startProcess({
      ...{ name, program, preload: [WAYBILL_PRELOAD, ...preload] },
      env: { ...common, ...env(name), ...tierEnv },
    });
  const startTier = (...tier: Parameters<typeof start>) =>
    Promise.all(Array.from({ length: instances }, () => start(...tier)));

  const stores = databaseUrl
    ? [await start('store', 'packages/store/src/main.ts', { DATABASE_URL: databaseUrl })]
    : [];
  const toStores = databaseUrl ? { STORE_URLS: stores.map(urlOf).join() } : undefined;
  const [dispatchers, listeners] = await Promise.all([
    startTier('dispatcher', 'packages/dispatcher/src/main.ts', toStores),
    startTier('listener', listener.program, listener.env),
  ]);
  const publicWebs = await startTier('public-web', 'packages/public-web/src/main.ts', {
    DISPATCHER_URLS: dispatchers.map(urlOf).join(),
    ...toStores,
    ...publicWebEnv,
  });
  const processes = [...publicWebs, ...dispatchers, ...stores, ...listeners];
  return { urls: publicWebs.map(urlOf), publicWebs, dispatchers, stores, listeners, processes };
}

export function urlOf({ port }: BenchProcess): string {
  return `http://127.0.0.1:${port}`;
}
