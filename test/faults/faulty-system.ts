/**
 * The whole ping system as processes, two per tier, with a proxy in every link; and, if a run wants it, what streams datasets, and
 * what clients that stay need.
 */
import { join } from 'node:path';
import { freePort } from '@waybill/test-harness/free-port.ts';
import { createManagementApi } from '@waybill/test-harness/management-api.ts';
import { startService } from '@waybill/test-harness/service.ts';
import { makePrivateKey, publicKeyOf } from '../../bin/plain/sealing-keys.mjs';
import { brokerOf } from '../e2e/system.ts';
import { type DatabaseName, type FaultyDatabase, openFaultyDatabase } from './faulty-database.ts';
import { type Link, openLink } from './link.ts';
import { type ManagedProcess, manageProcess } from './managed-process.ts';
import { INSTANCES } from './schedule.ts';
import { type SystemBroker, shareBroker, startOwnBroker } from './system-broker.ts';

const INTERNAL_SECRETS = 'a secret of the fault tests with more than 32 characters';

/** Has other connections to the broker than the tiers'. */
const CLIENTS_USER = 'clients';
/** A dataset of 10,000 comes in a hundred. */
const BATCH_SIZE = '100';

export type FaultySystem = {
  broker: SystemBroker;
  /** By the names of `TARGETS`. */
  processes: Map<string, ManagedProcess>;
  links: Map<string, Link>;
  /** Where clients reach the public-webs. */
  urls: string[];
  /** The broker as clients of datasets name it, through the link `clients-broker`; undefined without them. */
  clientsUrl: string | undefined;
  /** Where clients that stay reach each public-web, through its links; empty without them. */
  edges: Edge[];
  /** The store's; undefined without clients that stay. */
  database: FaultyDatabase | undefined;
  /** The files in which the listeners write what they ran. */
  recordings: string[];
  /** Ends every process by SIGTERM, then the links and the broker. */
  stop(): Promise<void>;
};

/** A public-web, by HTTP and by gRPC. */
export type Edge = { url: string; grpcAddress: string };

/** Starts everything and resolves when each process is ready. */
export async function startFaultySystem(options: {
  /** Where the recordings go. */
  folder: string;
  deadlineMs: number;
  /** Whether datasets are streamed too: `STREAM_TARGETS`. */
  hasStreams?: boolean;
  /** Whether there are clients that stay too: `CLIENT_TARGETS`; and where their store keeps what is theirs. */
  clientsAt?: DatabaseName | undefined;
  /** Whether it has a RabbitMQ of its own, to which faults can happen; default: a virtual host on that of the run. */
  hasOwnBroker?: boolean;
  /** More of the environment of every service. */
  env?: Record<string, string>;
}): Promise<FaultySystem> {
  const { folder, deadlineMs, hasStreams = false, clientsAt, hasOwnBroker = false } = options;
  const broker = await (hasOwnBroker ? startOwnBroker() : shareBroker());
  const links = new Map<string, Link>();
  const processes = new Map<string, ManagedProcess>();
  const recordings: string[] = [];
  const indexes = Array.from({ length: INSTANCES }, (_, index) => index);

  const open = async (name: string, target: string): Promise<Link> => {
    const link = await openLink(name, target);
    links.set(name, link);
    return link;
  };
  const start = async (
    name: string,
    linksTo: Link[],
    service: () => Parameters<typeof startService>[0],
  ): Promise<void> => {
    processes.set(
      name,
      await manageProcess({ name, linksTo, startService: () => startService(withEnv(service())) }),
    );
  };

  const withEnv = (service: Parameters<typeof startService>[0]) => ({
    ...service,
    env: { ...service.env, ...options.env },
  });

  const startDispatcher = async (index: number, port: number, linksTo: Link[]): Promise<void> => {
    const link = await open(`dispatcher${index}-broker`, broker.url);
    const env = {
      ...{ AMQP_URL: link.through(broker.url), INTERNAL_SECRETS, PORT: `${port}`, LOG_LEVEL: 'debug' },
      ...toStore(`dispatcher${index}`),
    };
    await start(`dispatcher-${index}`, linksTo, () => ({ name: 'dispatcher', env }));
  };

  const startListener = async (index: number): Promise<void> => {
    const link = await open(`listener${index}-broker`, broker.url);
    await start(`ping-listener-${index}`, [], () => {
      const recording = join(folder, `ran-${index}-${recordings.length}.txt`);
      recordings.push(recording);
      return {
        name: 'ping-listener',
        main: 'test/faults/recording-listener.ts',
        args: [recording],
        env: { AMQP_URL: link.through(broker.url), LOG_LEVEL: 'debug' },
      };
    });
  };

  const privateKey = makePrivateKey();
  let clientsUrl: string | undefined;
  let ofClients: Record<string, string> = {};
  const startStreaming = async (): Promise<void> => {
    const api = createManagementApi({ url: broker.own().managementUrl });
    await api.createUser(CLIENTS_USER, CLIENTS_USER);
    await api.setPermissions('/', CLIENTS_USER, { configure: '.*', write: '.*', read: '.*' });
    const url = new URL((await open('clients-broker', broker.url)).through(broker.url));
    url.username = url.password = CLIENTS_USER;
    clientsUrl = url.href;
    const CLIENT_BROKERS = brokerOf(clientsUrl);
    ofClients = { CREDENTIALS_PUBLIC_KEY: JSON.stringify(publicKeyOf(privateKey)), CLIENT_BROKERS };
    const GRPC_PORT = `${await freePort()}`;
    const datasets = await Promise.all(
      indexes.map((index) => open(`data${index}-datasets`, `http://127.0.0.1:${GRPC_PORT}`)),
    );
    await start('dataset-generator-0', datasets, () => ({ name: 'dataset-generator', env: { GRPC_PORT } }));
    const startDataListener = async (index: number): Promise<void> => {
      const link = await open(`data${index}-broker`, broker.url);
      const env = {
        ...{
          AMQP_URL: link.through(broker.url),
          LOG_LEVEL: 'debug',
          TCP_PORT: '0',
          BATCH_SIZE,
          CLIENT_BROKERS,
        },
        CREDENTIALS_PRIVATE_KEYS: JSON.stringify(privateKey),
        DATASET_SERVICE_ADDR: new URL(datasets[index]?.through('http://127.0.0.1') as string).host,
      };
      await start(`data-dispatch-listener-${index}`, [], () => ({ name: 'data-dispatch-listener', env }));
    };
    await Promise.all(indexes.map(startDataListener));
  };

  let database: FaultyDatabase | undefined;
  const edges: Edge[] = [];
  const startStore = async (name: DatabaseName): Promise<void> => {
    database = await openFaultyDatabase(folder, name);
    const PORT = `${await freePort()}`;
    const callers = indexes.flatMap((index) => [`web${index}`, `dispatcher${index}`]);
    const ways = await Promise.all(callers.map((name) => open(`${name}-store`, `http://127.0.0.1:${PORT}`)));
    const env = { INTERNAL_SECRETS, PORT, DATABASE_URL: database.url };
    await start('store-0', ways, () => ({ name: 'store', env }));
  };
  const startSquareListener = async (index: number): Promise<void> => {
    const link = await open(`square${index}-broker`, broker.url);
    const env = { AMQP_URL: link.through(broker.url), LOG_LEVEL: 'debug' };
    await start(`square-listener-${index}`, [], () => ({ name: 'square-listener', env }));
  };
  /** How `caller` reaches the store, if there is one. */
  const toStore = (caller: string): Record<string, string> => {
    const link = links.get(`${caller}-store`);
    return link ? { STORE_URLS: originOf(link) } : {};
  };
  const openEdge = async (index: number, port: number, grpcPort: number): Promise<Link[]> => {
    const http = await open(`client${index}`, `http://127.0.0.1:${port}`);
    const grpc = await open(`client${index}-grpc`, `http://127.0.0.1:${grpcPort}`);
    edges[index] = { url: originOf(http), grpcAddress: new URL(originOf(grpc)).host };
    return [http, grpc];
  };

  const startPublicWeb = async (index: number, port: number, toDispatchers: string[]): Promise<void> => {
    const [internalPort, grpcPort] = await Promise.all([freePort(), freePort()]);
    const edge = clientsAt ? await openEdge(index, port, grpcPort) : [];
    const callback = await open(`callback${index}`, `http://127.0.0.1:${internalPort}`);
    const env = {
      PORT: `${port}`,
      INTERNAL_PORT: `${internalPort}`,
      INTERNAL_URL: originOf(callback),
      DISPATCHER_URLS: toDispatchers.join(','),
      DEADLINE_MS: `${deadlineMs}`,
      INTERNAL_SECRETS,
      GRPC_PORT: `${grpcPort}`,
      ...(clientsAt && { PUBLIC_EVENT_TYPES: 'PingRequest,nimbus.sq' }),
      ...toStore(`web${index}`),
      ...ofClients,
    };
    await start(`public-web-${index}`, [callback, ...edge], () => ({ name: 'public-web', env }));
  };

  async function stop(): Promise<void> {
    await Promise.all([...processes.values()].map((managed) => managed.terminate()));
    await Promise.all([...links.values()].map((link) => link.close()));
    await database?.stop();
    await broker.stop();
  }

  try {
    const dispatcherPorts = await Promise.all(indexes.map(freePort));
    const publicPorts = await Promise.all(indexes.map(freePort));
    const ways = await Promise.all(
      indexes.flatMap((web) =>
        indexes.map((dispatcher) =>
          open(`web${web}-dispatcher${dispatcher}`, `http://127.0.0.1:${dispatcherPorts[dispatcher]}`),
        ),
      ),
    );
    const waysFrom = (web: number) => ways.filter(({ name }) => name.startsWith(`web${web}-`));
    const waysTo = (dispatcher: number) =>
      ways.filter(({ name }) => name.endsWith(`dispatcher${dispatcher}`));
    if (hasStreams) await startStreaming();
    if (clientsAt) await Promise.all([startStore(clientsAt), ...indexes.map(startSquareListener)]);
    const urlsFrom = (web: number) => waysFrom(web).map(originOf);
    await Promise.all(
      indexes.flatMap((index) => [
        startDispatcher(index, dispatcherPorts[index] as number, waysTo(index)),
        startListener(index),
        startPublicWeb(index, publicPorts[index] as number, urlsFrom(index)),
      ]),
    );
    await Promise.all([...processes.values()].map(({ service }) => service.ready()));
    const urls = publicPorts.map((port) => `http://127.0.0.1:${port}`);
    return { broker, processes, links, urls, clientsUrl, edges, database, recordings, stop };
  } catch (error) {
    for (const { service } of processes.values()) service.kill('SIGKILL');
    await stop().catch(() => {});
    throw error;
  }
}

function originOf(link: Link): string {
  return link.through('http://127.0.0.1').replace(/\/$/, '');
}
