/**
 * What `npm start` and `npm run demo` run: every service on this machine, and what they need beside them. Settings are
 * those of the services; ports of the same name get one of their own here.
 *
 * Without AMQP_URL there is an embedded broker; without an OTLP endpoint, a collector that bin/trace.mjs can read.
 */
import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { RunningSystem } from '../../../bin/plain/running-systems.mjs';
import { UserError } from '../../../bin/plain/user-error.mjs';
import { BrokerError, connectToBroker, toBroker } from './broker-connection.ts';
import { readBrokerUrl } from './broker-url.ts';
import { checkSettings } from './check-settings.ts';
import { listenerPorts, portSettingOf } from './packaged-listeners.ts';
import { checkAreFree, readPorts } from './ports.ts';
import { modulePath } from './programs.ts';
import type { Service } from './run-services.ts';
import { DATASET_SERVICES, describeTiers, hasTls, withoutSecrets } from './tiers.ts';

/** Each port by the variable that changes it here. */
export const defaultPorts = {
  PORT: 8080,
  PUBLIC_WEB_HEALTH_PORT: 8088,
  INTERNAL_PORT: 8081,
  DISPATCHER_PORT: 8082,
  DISPATCHER_HEALTH_PORT: 8083,
  DATASET_GENERATOR_HEALTH_PORT: 8087,
  STORE_PORT: 8090,
  STORE_HEALTH_PORT: 8091,
  TCP_PORT: 9000,
  GRPC_PORT: 50051,
  DATASET_GENERATOR_PORT: 50061,
  ...listenerPorts,
};
const portsOfDatasets = [...DATASET_SERVICES.map(portSettingOf), 'DATASET_GENERATOR_PORT', 'TCP_PORT'];
const brokerPort = { AMQP_PORT: 5672 };
const telemetryPort = { TELEMETRY_PORT: 4318 };

export type System = {
  /** Each to be started when the one before it is ready. */
  stages: Service[][];
  /** Without a slash at its end. */
  publicUrl: string;
  /** `host:port`, with TLS `https://host:port`. */
  grpcAddress: string;
  /** `host:port`, where datasets come by TCP; undefined where there are none. */
  tcpAddress: string | undefined;
  /** Where clients have their queues: the broker, in its default virtual host. */
  clientBrokerUrl: string;
  /** Whether clients have to show an API key, or a token. */
  needsKey: boolean;
  /** Of the embedded broker; undefined if AMQP_URL names another. */
  brokerUrl: string | undefined;
  /** Of the collector; undefined if telemetry goes elsewhere, or is off. */
  telemetryUrl: string | undefined;
  /** All that it will listen on. */
  ports: number[];
  /** What is not wrong but perhaps not meant, or not there yet, a sentence each. */
  doubts: string[];
};

/**
 * Reads the settings of every service, and looks whether the ports are free and the broker takes us. Starts nothing.
 *
 * @param portOffset is added to each port that no variable sets; default 0
 * @param listeners the files of the user's own, which take the place of those that come with Waybill; default none
 * @param descriptionsFile what those listeners say of their types, for whoever asks public-web; default: nothing
 * @param withoutDatasets whether those that send datasets are left out; default false
 * @throws UserError for what the user can mend
 */
export async function describeSystem(
  env: NodeJS.ProcessEnv,
  {
    portOffset = 0,
    listeners = [],
    descriptionsFile,
    withoutDatasets = false,
  }: { portOffset?: number; listeners?: string[]; descriptionsFile?: string; withoutDatasets?: boolean } = {},
): Promise<System> {
  const hasBroker = !env.AMQP_URL && !env.AMQP_URL_FILE;
  const hasTelemetry = !isTelemetrySet(env);
  const hasDatasets = listeners.length === 0 && !withoutDatasets;
  const namedBroker = hasBroker ? undefined : readBrokerUrl(env);
  const all = { ...brokerPort, ...telemetryPort, ...defaultPorts };
  const ports = readPorts(env, all, portOffset);
  const unused: string[] = [
    ...(hasBroker ? [] : ['AMQP_PORT']),
    ...(hasTelemetry ? [] : ['TELEMETRY_PORT']),
    ...(hasDatasets ? [] : portsOfDatasets),
    ...(listeners.length > 0 ? Object.keys(listenerPorts) : []),
  ];
  const used = Object.entries(ports).filter(([name]) => !unused.includes(name));

  const telemetryUrl = hasTelemetry ? `http://127.0.0.1:${ports.TELEMETRY_PORT}` : undefined;
  const brokerUrl = hasBroker ? `amqp://guest:guest@127.0.0.1:${ports.AMQP_PORT}` : undefined;
  const clientBroker = new URL(namedBroker ?? String(brokerUrl));
  const forServices = {
    ...env,
    ...(brokerUrl && { AMQP_URL: brokerUrl }),
    CLIENT_BROKERS: env.CLIENT_BROKERS || namesOf(clientBroker).join(','),
    ...(telemetryUrl && telemetryEnv(telemetryUrl, env)),
  };
  // Only the broker is waited for: the first spans are exported later than the collector is there.
  const stages = [
    brokerUrl ? [broker(env, ports.AMQP_PORT)] : [],
    telemetryUrl ? [telemetry(env, ports.TELEMETRY_PORT)] : [],
    ...describeTiers(forServices, ports, { listeners, descriptionsFile, withoutDatasets }),
  ].filter((stage) => stage.length > 0);
  const doubts = await checkSettings(stages.flat(), env);
  const isTls = hasTls(env);
  if (isTls && !env.INTERNAL_URL) checkCertificate(env);
  await checkAreFree(used);
  if (namedBroker) doubts.push(...(await checkBroker(namedBroker)));
  return {
    stages,
    doubts,
    ports: used.map(([, port]) => port),
    publicUrl: `${isTls ? 'https' : 'http'}://localhost:${ports.PORT}`,
    grpcAddress: `${isTls ? 'https://' : ''}localhost:${ports.GRPC_PORT}`,
    tcpAddress: hasDatasets ? `localhost:${ports.TCP_PORT}` : undefined,
    clientBrokerUrl: inDefaultVhost(clientBroker),
    needsKey: Boolean(env.API_KEYS || env.API_KEYS_FILE || env.JWT_JWKS_URL),
    brokerUrl,
    telemetryUrl,
  };
}

function isTelemetrySet(env: NodeJS.ProcessEnv) {
  if (env.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true') return true;
  return Object.entries(env).some(([name, value]) => name.startsWith('OTEL_EXPORTER_OTLP_') && value);
}

/**
 * The broker as `CLIENT_BROKERS` lists it, by each name that clients may call it: a loopback address has more than one.
 */
function namesOf({ protocol, hostname, port }: URL) {
  const loopback = ['localhost', '127.0.0.1'];
  const hosts = loopback.includes(hostname) ? loopback : [hostname];
  const prefix = protocol === 'amqps:' ? 'amqps://' : '';
  return hosts.map((host) => prefix + (port ? `${host}:${port}` : host));
}

/** The one that services use towards clients, who can name a host and a port only. */
function inDefaultVhost(url: URL) {
  const copy = new URL(url);
  copy.pathname = '';
  return copy.href;
}

/** The dispatcher, and whoever is told how to try it, call public-web by this name. */
function checkCertificate({ TLS_CERT: cert, TLS_CERT_FILE: file = '' }: NodeJS.ProcessEnv): void {
  if (new X509Certificate(cert || readFileSync(file)).checkHost('localhost') === undefined)
    throw new UserError(
      'the certificate (TLS_CERT) is not for localhost, by which public-web is called here',
    );
}

/** One that is not there may be on its way up; one that refuses us will go on to. */
async function checkBroker(url: string): Promise<string[]> {
  try {
    const connection = await connectToBroker(toBroker(url), 'start');
    await connection.close();
    return [];
  } catch (error) {
    if (!(error instanceof BrokerError) || error.failure.isMistake) throw error;
    return [`${error.failure.reason} (AMQP_URL): waiting for it`];
  }
}

/** The note by which other programs find it. */
export function noteOf({ publicUrl, brokerUrl, telemetryUrl, ports, stages }: System): RunningSystem {
  const services = stages.flat().flatMap(({ name, readyUrl }) => (readyUrl ? [{ name, readyUrl }] : []));
  return { pid: process.pid, publicUrl, brokerUrl, telemetryUrl, ports, services };
}

/** Traces, logs and metrics go to the collector soon. */
export function telemetryEnv(url: string, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return {
    // For its traces, of which each tier but the first logs at debug; who reads along is shown less (start.ts).
    LOG_LEVEL: env.LOG_LEVEL || 'debug',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${url}/v1/traces`,
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${url}/v1/logs`,
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: `${url}/v1/metrics`,
    OTEL_METRIC_EXPORT_INTERVAL: env.OTEL_METRIC_EXPORT_INTERVAL || '5000',
    OTEL_METRIC_EXPORT_TIMEOUT: env.OTEL_METRIC_EXPORT_TIMEOUT || '5000',
    OTEL_BSP_SCHEDULE_DELAY: env.OTEL_BSP_SCHEDULE_DELAY || '500',
    OTEL_BLRP_SCHEDULE_DELAY: env.OTEL_BLRP_SCHEDULE_DELAY || '500',
  };
}

function broker(env: NodeJS.ProcessEnv, port: number): Service {
  return {
    name: 'embedded-broker',
    args: [modulePath('embedded-broker', 'main')],
    env: { ...withoutSecrets(env), AMQP_PORT: String(port) },
  };
}

function telemetry(env: NodeJS.ProcessEnv, port: number): Service {
  return {
    name: 'dev-telemetry',
    args: [modulePath('dev-telemetry', 'main')],
    settings: modulePath('dev-telemetry', 'config'),
    env: { ...withoutSecrets(env), PORT: String(port), PORT_FILE: '' },
    readyUrl: `http://127.0.0.1:${port}/health/ready`,
  };
}
