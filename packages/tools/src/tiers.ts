/** Waybill's own services as `npm start` and `npm run demo` run them, each with those secrets alone that it needs. */
import { randomBytes } from 'node:crypto';
import { makePrivateKey, publicKeyOf } from '../../../bin/plain/sealing-keys.mjs';
import { describeListeners } from './listeners.ts';
import { packagedListeners, portSettingOf } from './packaged-listeners.ts';
import { modulePath, serviceArgs } from './programs.ts';
import type { Service } from './run-services.ts';
import type { defaultPorts } from './system.ts';

/** What sends datasets, and where they come from. */
export const DATASET_SERVICES = ['data-dispatch-listener', 'dataset-generator'];

/** Each goes to those services only that need it; those of TLS to public-web alone, as everything is on loopback. */
const secretSettings = [
  'AMQP_URL',
  'INTERNAL_SECRETS',
  'RESULTS_SECRETS',
  'CREDENTIALS_PUBLIC_KEY',
  'CREDENTIALS_PRIVATE_KEYS',
  'DATABASE_URL',
  'TLS_CERT',
  'TLS_KEY',
  'MESH_PEERS',
];

/**
 * public-web is a stage of its own: it stops first, and what it still waits for is answered by the others. So are
 * dataset-generator and the store: they stop after data-dispatch-listener, which may need one more batch, and after the
 * dispatcher, which may have one more reply to be kept.
 *
 * @param listeners of the user; where there are any, those that come with Waybill are left out; default none
 * @param descriptionsFile what public-web tells of types, unless a setting says so
 * @param withoutDatasets leaves out DATASET_SERVICES; default false
 * @returns in stages
 */
export function describeTiers(
  env: NodeJS.ProcessEnv,
  ports: typeof defaultPorts,
  {
    listeners = [],
    descriptionsFile,
    withoutDatasets = false,
  }: {
    listeners?: string[];
    descriptionsFile?: string | undefined;
    withoutDatasets?: boolean;
  } = {},
): Service[][] {
  const internal = secretsOf(env, 'INTERNAL_SECRETS');
  const results = secretsOf(env, 'RESULTS_SECRETS');
  const sealing = sealingKeys(env);
  const broker = pick(env, 'AMQP_URL');
  const datasetGenerator = tier('dataset-generator', ports, env, {
    GRPC_PORT: `${ports.DATASET_GENERATOR_PORT}`,
  });
  const store = tier('store', ports, env, {
    ...internal,
    ...results,
    ...databaseOf(env, ports.STORE_PORT),
    PORT: `${ports.STORE_PORT}`,
  });
  const stores = { STORE_URLS: env.STORE_URLS || `http://127.0.0.1:${ports.STORE_PORT}` };
  const dispatcher = tier('dispatcher', ports, env, {
    ...broker,
    ...internal,
    ...stores,
    PORT: `${ports.DISPATCHER_PORT}`,
  });
  const dataDispatch = {
    ...sealing.privateKeys,
    TCP_PORT: `${ports.TCP_PORT}`,
    DATASET_SERVICE_ADDR: env.DATASET_SERVICE_ADDR || `127.0.0.1:${ports.DATASET_GENERATOR_PORT}`,
  };
  const ourListeners = packagedListeners.map(({ name }) =>
    tier(name, ports, env, {
      ...broker,
      ...(name === 'data-dispatch-listener' && dataDispatch),
    }),
  );
  const publicWeb = tier('public-web', ports, env, {
    ...internal,
    ...stores,
    ...sealing.publicKey,
    ...pick(env, 'MESH_PEERS'),
    ...tlsOf(env, ports.INTERNAL_PORT),
    // A type that nobody takes is refused in any case, by the dispatcher, which knows of new ones at once.
    PUBLIC_EVENT_TYPES: env.PUBLIC_EVENT_TYPES || (listeners.length > 0 ? '*' : 'PingRequest,nimbus.sq'),
    PORT: `${ports.PORT}`,
    GRPC_PORT: `${ports.GRPC_PORT}`,
    INTERNAL_PORT: `${ports.INTERNAL_PORT}`,
    DISPATCHER_URLS: env.DISPATCHER_URLS || `http://127.0.0.1:${ports.DISPATCHER_PORT}`,
    DEVELOPMENT: env.DEVELOPMENT || 'true',
    ...(descriptionsFile &&
      !isSet(pick(env, 'TYPE_DESCRIPTIONS')) && { TYPE_DESCRIPTIONS_FILE: descriptionsFile }),
  });
  if (listeners.length > 0)
    return [
      [store],
      [
        dispatcher,
        ...describeListeners(listeners, { ...withoutSecrets(env), ...broker, ...stores, ...results }),
      ],
      [publicWeb],
    ];
  const stages = [[datasetGenerator, store], [dispatcher, ...ourListeners], [publicWeb]];
  if (!withoutDatasets) return stages;
  return stages.map((stage) => stage.filter(({ name }) => !DATASET_SERVICES.includes(name)));
}

/** What public-web has a certificate by, if it has one; the dispatcher then calls it by the name that the certificate is for. */
function tlsOf(env: NodeJS.ProcessEnv, internalPort: number): NodeJS.ProcessEnv {
  if (!hasTls(env)) return {};
  const internalUrl = env.INTERNAL_URL || `https://localhost:${internalPort}`;
  return { ...pick(env, 'TLS_CERT'), ...pick(env, 'TLS_KEY'), INTERNAL_URL: internalUrl };
}

/** Whether public-web speaks TLS. */
export function hasTls(env: NodeJS.ProcessEnv): boolean {
  return isSet(pick(env, 'TLS_CERT')) || isSet(pick(env, 'TLS_KEY'));
}

/** A file of its own for each system that runs in a folder, by its port: a store lets no other one at its file. */
function databaseOf(env: NodeJS.ProcessEnv, port: number): NodeJS.ProcessEnv {
  const given = pick(env, 'DATABASE_URL');
  return isSet(given) ? given : { DATABASE_URL: `sqlite:data/store-${port}.db` };
}

function secretsOf(env: NodeJS.ProcessEnv, name: string): NodeJS.ProcessEnv {
  const given = pick(env, name);
  return isSet(given) ? given : { [name]: randomBytes(32).toString('base64url') };
}

function sealingKeys(env: NodeJS.ProcessEnv) {
  const publicKey = pick(env, 'CREDENTIALS_PUBLIC_KEY');
  const privateKeys = pick(env, 'CREDENTIALS_PRIVATE_KEYS');
  if (isSet(publicKey) || isSet(privateKeys)) return { publicKey, privateKeys };
  const key = makePrivateKey();
  return {
    publicKey: { CREDENTIALS_PUBLIC_KEY: JSON.stringify(publicKeyOf(key)) },
    privateKeys: { CREDENTIALS_PRIVATE_KEYS: JSON.stringify([key]) },
  };
}

/** A setting, in either of the two ways in which it can be given. */
function pick(env: NodeJS.ProcessEnv, name: string): NodeJS.ProcessEnv {
  return { [name]: env[name], [`${name}_FILE`]: env[`${name}_FILE`] };
}

function isSet(settings: NodeJS.ProcessEnv) {
  return Object.values(settings).some(Boolean);
}

/** For what needs no secret. */
export function withoutSecrets(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const names = secretSettings.flatMap((name) => Object.keys(pick({}, name)));
  return Object.fromEntries(Object.entries(env).filter(([name]) => !names.includes(name)));
}

/** From the health port to that where metrics are scraped: 9488 for public-web, near OpenTelemetry's 9464. */
const PROMETHEUS_PORT_OFFSET = 1_400;

/** Listeners that add none have those of every listener. */
function addsNoSettings(name: string): boolean {
  return packagedListeners.some((listener) => listener.name === name && !listener.hasSettings);
}

/** @param own what this one is given besides; of the secrets, the only ones it is given */
function tier(
  name: string,
  ports: Record<string, number>,
  env: NodeJS.ProcessEnv,
  own: NodeJS.ProcessEnv,
): Service {
  const healthPort = Number(ports[portSettingOf(name)]);
  return {
    name,
    args: serviceArgs(name),
    settings: modulePath(addsNoSettings(name) ? 'listener' : name, 'config'),
    env: {
      ...withoutSecrets(env),
      ...own,
      // Shells and CI images export HOST, for something else.
      HOST: '127.0.0.1',
      INTERNAL_HOST: '127.0.0.1',
      OTEL_SERVICE_NAME: name,
      HEALTH_PORT: String(healthPort),
      // Where they are scraped, if they are: with one host, each needs a port of its own.
      OTEL_EXPORTER_PROMETHEUS_PORT: String(healthPort + PROMETHEUS_PORT_OFFSET),
    },
    readyUrl: `http://127.0.0.1:${healthPort}/health/ready`,
  };
}
