/**
 * What `npm start` and `npm run demo` run: every service on this machine, and what they need beside them. Settings are
 * those of the services; ports of the same name get one of their own here.
 *
 * Without AMQP_URL there is an embedded broker; without an OTLP endpoint, a collector that bin/trace.mjs can read.
 */
import { readFileSync } from 'node:fs';
import { nodeFault } from './node-version.mjs';
import { checkAreFree, readPorts } from './ports.mjs';
import { describeTiers, withoutSecrets } from './tiers.mjs';
import { UserError } from './user-error.mjs';

/** @typedef {import('./run-services.mjs').Service} Service */

/** Each port by the variable that changes it here. */
export const defaultPorts = {
  PORT: 8080,
  PUBLIC_WEB_HEALTH_PORT: 8088,
  INTERNAL_PORT: 8081,
  DISPATCHER_PORT: 8082,
  DISPATCHER_HEALTH_PORT: 8083,
  PING_LISTENER_HEALTH_PORT: 8084,
  DATA_DISPATCH_LISTENER_HEALTH_PORT: 8086,
  DATASET_GENERATOR_HEALTH_PORT: 8087,
  TCP_PORT: 9000,
  GRPC_PORT: 50051,
  DATASET_GENERATOR_PORT: 50061,
};
const brokerPort = { AMQP_PORT: 5672 };
const telemetryPort = { TELEMETRY_PORT: 4318 };

/**
 * @typedef {object} System
 * @property {Service[][]} stages each to be started when the one before it is ready
 * @property {string} publicUrl without a slash at its end
 * @property {string} grpcAddress host:port
 * @property {string} tcpAddress host:port
 * @property {string} clientBrokerUrl where clients have their queues: the broker, in its default virtual host
 * @property {string | undefined} brokerUrl of the embedded broker; undefined if AMQP_URL names another
 * @property {string | undefined} telemetryUrl of the collector; undefined if telemetry goes elsewhere, or is off
 */

/**
 * Reads the settings and looks whether the ports are free. Starts nothing.
 *
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<System>}
 * @throws {UserError} for what the user can mend
 */
export async function describeSystem(env) {
  const fault = nodeFault();
  if (fault) throw new UserError(fault);
  const hasBroker = !env.AMQP_URL && !env.AMQP_URL_FILE;
  const hasTelemetry = !isTelemetrySet(env);
  const namedBroker = hasBroker ? undefined : readBrokerUrl(env);
  const all = { ...brokerPort, ...telemetryPort, ...defaultPorts };
  const ports = readPorts(env, all);
  const unused = [...(hasBroker ? [] : ['AMQP_PORT']), ...(hasTelemetry ? [] : ['TELEMETRY_PORT'])];
  await checkAreFree(Object.entries(ports).filter(([name]) => !unused.includes(name)));

  const telemetryUrl = hasTelemetry ? `http://127.0.0.1:${ports.TELEMETRY_PORT}` : undefined;
  const brokerUrl = hasBroker ? `amqp://guest:guest@127.0.0.1:${ports.AMQP_PORT}` : undefined;
  const clientBroker = new URL(namedBroker ?? String(brokerUrl));
  const forServices = {
    ...env,
    ...(brokerUrl && { AMQP_URL: brokerUrl }),
    CLIENT_BROKERS: env.CLIENT_BROKERS || namesOf(clientBroker).join(','),
    ...(telemetryUrl && telemetryEnv(telemetryUrl, env)),
  };
  const infrastructure = [
    ...(brokerUrl ? [broker(env, ports.AMQP_PORT)] : []),
    ...(telemetryUrl ? [telemetry(env, ports.TELEMETRY_PORT)] : []),
  ];
  return {
    stages: [infrastructure, ...describeTiers(forServices, ports)].filter((stage) => stage.length > 0),
    publicUrl: `http://localhost:${ports.PORT}`,
    grpcAddress: `localhost:${ports.GRPC_PORT}`,
    tcpAddress: `localhost:${ports.TCP_PORT}`,
    clientBrokerUrl: inDefaultVhost(clientBroker),
    brokerUrl,
    telemetryUrl,
  };
}

/** @param {NodeJS.ProcessEnv} env */
function isTelemetrySet(env) {
  if (env.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true') return true;
  return Object.entries(env).some(([name, value]) => name.startsWith('OTEL_EXPORTER_OTLP_') && value);
}

/** @param {NodeJS.ProcessEnv} env */
function readBrokerUrl({ AMQP_URL, AMQP_URL_FILE }) {
  const url = AMQP_URL || readSecret('AMQP_URL_FILE', String(AMQP_URL_FILE));
  // The URL is not repeated: it may hold a password.
  if (!URL.canParse(url) || !['amqp:', 'amqps:'].includes(new URL(url).protocol)) {
    throw new UserError('AMQP_URL is not a URL that starts with amqp:// or amqps://');
  }
  try {
    const { username, password, pathname } = new URL(url);
    for (const part of [username, password, pathname]) decodeURIComponent(part);
  } catch {
    throw new UserError('AMQP_URL has a % that begins no escape: write it as %25');
  }
  return url;
}

/**
 * @param {string} name
 * @param {string} path
 */
function readSecret(name, path) {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch (error) {
    throw new UserError(`${name}: ${/** @type {Error} */ (error).message}`);
  }
}

/**
 * The broker as `CLIENT_BROKERS` lists it, by each name that clients may call it: a loopback address has more than one.
 *
 * @param {URL} url
 */
function namesOf({ protocol, hostname, port }) {
  const loopback = ['localhost', '127.0.0.1'];
  const hosts = loopback.includes(hostname) ? loopback : [hostname];
  const prefix = protocol === 'amqps:' ? 'amqps://' : '';
  return hosts.map((host) => prefix + (port ? `${host}:${port}` : host));
}

/**
 * The one that services use towards clients, who can name a host and a port only.
 *
 * @param {URL} url
 */
function inDefaultVhost(url) {
  const copy = new URL(url);
  copy.pathname = '';
  return copy.href;
}

/**
 * Traces and logs go to the collector soon; metrics, which it would drop, go nowhere.
 *
 * @param {string} url
 * @param {NodeJS.ProcessEnv} env
 */
function telemetryEnv(url, env) {
  return {
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: `${url}/v1/traces`,
    OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: `${url}/v1/logs`,
    OTEL_BSP_SCHEDULE_DELAY: env.OTEL_BSP_SCHEDULE_DELAY || '500',
    OTEL_BLRP_SCHEDULE_DELAY: env.OTEL_BLRP_SCHEDULE_DELAY || '500',
  };
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {number} port
 * @returns {Service}
 */
function broker(env, port) {
  return {
    name: 'embedded-broker',
    args: ['packages/embedded-broker/src/main.ts'],
    env: { ...withoutSecrets(env), AMQP_PORT: String(port) },
  };
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {number} port
 * @returns {Service}
 */
function telemetry(env, port) {
  return {
    name: 'dev-telemetry',
    args: ['packages/dev-telemetry/src/main.ts'],
    env: { ...withoutSecrets(env), PORT: String(port), PORT_FILE: '' },
    readyUrl: `http://127.0.0.1:${port}/health/ready`,
  };
}
