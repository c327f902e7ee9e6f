/**
 * What `npm start` and `npm run demo` run: every service on this machine, and what they need beside them. Settings are
 * those of the services; ports of the same name get one of their own here.
 *
 * Without AMQP_URL there is an embedded broker; without an OTLP endpoint, a collector that bin/trace.mjs can read.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { UserError } from './user-error.mjs';

/** @typedef {import('./run-services.mjs').Service} Service */

/** Each port by the variable that changes it here. */
const defaultPorts = {
  PORT: 8080,
  INTERNAL_PORT: 8081,
  DISPATCHER_PORT: 8082,
  DISPATCHER_HEALTH_PORT: 8083,
  PING_LISTENER_HEALTH_PORT: 8084,
};
const brokerPort = { AMQP_PORT: 5672 };
const telemetryPort = { TELEMETRY_PORT: 4318 };

/**
 * @typedef {object} System
 * @property {Service[][]} stages each to be started when the one before it is ready
 * @property {string} publicUrl without a slash at its end
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
  checkNode();
  const hasBroker = !env.AMQP_URL && !env.AMQP_URL_FILE;
  const hasTelemetry = !isTelemetrySet(env);
  if (env.AMQP_URL) checkBrokerUrl(env.AMQP_URL);
  const all = { ...brokerPort, ...telemetryPort, ...defaultPorts };
  const ports = readPorts(env, all);
  const unused = [...(hasBroker ? [] : ['AMQP_PORT']), ...(hasTelemetry ? [] : ['TELEMETRY_PORT'])];
  await checkAreFree(Object.entries(ports).filter(([name]) => !unused.includes(name)));

  const telemetryUrl = hasTelemetry ? `http://127.0.0.1:${ports.TELEMETRY_PORT}` : undefined;
  const brokerUrl = hasBroker ? `amqp://guest:guest@127.0.0.1:${ports.AMQP_PORT}` : undefined;
  const forServices = {
    ...env,
    ...(brokerUrl && { AMQP_URL: brokerUrl }),
    ...(telemetryUrl && telemetryEnv(telemetryUrl, env)),
  };
  const infrastructure = [
    ...(brokerUrl ? [broker(env, ports.AMQP_PORT)] : []),
    ...(telemetryUrl ? [telemetry(env, ports.TELEMETRY_PORT)] : []),
  ];
  return {
    stages: [infrastructure, ...tiers(forServices, ports)].filter((stage) => stage.length > 0),
    publicUrl: `http://localhost:${ports.PORT}`,
    brokerUrl,
    telemetryUrl,
  };
}

function checkNode() {
  if (Number(process.versions.node.split('.')[0]) >= 24) return;
  throw new UserError(
    `needs Node 24 or newer and this is ${process.version}: run it by "npm", which uses the project's own`,
  );
}

/** @param {NodeJS.ProcessEnv} env */
function isTelemetrySet(env) {
  if (env.OTEL_SDK_DISABLED?.trim().toLowerCase() === 'true') return true;
  return Object.entries(env).some(([name, value]) => name.startsWith('OTEL_EXPORTER_OTLP_') && value);
}

/** @param {string} url */
function checkBrokerUrl(url) {
  // The URL is not repeated: it may hold a password.
  if (!URL.canParse(url) || !['amqp:', 'amqps:'].includes(new URL(url).protocol)) {
    throw new UserError('AMQP_URL is not a URL that starts with amqp:// or amqps://');
  }
}

/**
 * @template {Record<string, number>} P
 * @param {NodeJS.ProcessEnv} env
 * @param {P} defaults
 * @returns {P}
 */
function readPorts(env, defaults) {
  const entries = Object.entries(defaults).map(([name, port]) => [name, toPort(name, env[name] || port)]);
  return Object.fromEntries(entries);
}

/**
 * @param {string} name
 * @param {string | number} value
 */
function toPort(name, value) {
  const port = Number(value);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new UserError(`${name} must be a port from 1 to 65535 and is ${value}`);
}

/** @param {[string, number][]} ports */
async function checkAreFree(ports) {
  /** @type {Map<number, string>} */
  const names = new Map();
  for (const [name, port] of ports) {
    const other = names.get(port);
    if (other) throw new UserError(`${other} and ${name} are both ${port}: each needs a port of its own`);
    names.set(port, name);
    await checkIsFree(name, port);
  }
}

/**
 * @param {string} name
 * @param {number} port
 */
async function checkIsFree(name, port) {
  const server = createServer().listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code !== 'EADDRINUSE')
      throw new UserError(`port ${port} cannot be used (${code}): choose another with ${name}=<port>`);
    const advice =
      name === 'AMQP_PORT' ? ', or set AMQP_URL if that is a RabbitMQ which Waybill shall use' : '';
    throw new UserError(
      `port ${port} is in use: stop what uses it, or choose another with ${name}=<port>${advice}`,
    );
  }
  server.close();
  await once(server, 'close');
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
    env: { ...env, AMQP_PORT: String(port) },
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
    env: { ...env, PORT: String(port), PORT_FILE: '' },
    readyUrl: `http://127.0.0.1:${port}/health/ready`,
  };
}

/**
 * public-web is a stage of its own: it stops first, and what it still waits for is answered by the others.
 *
 * @param {NodeJS.ProcessEnv} env
 * @param {typeof defaultPorts} ports
 */
function tiers(env, ports) {
  const secrets = env.INTERNAL_SECRETS || env.INTERNAL_SECRETS_FILE ? {} : newSecrets();
  const dispatcher = tier('dispatcher', ports.DISPATCHER_HEALTH_PORT, {
    ...env,
    ...secrets,
    PORT: `${ports.DISPATCHER_PORT}`,
  });
  const pingListener = tier('ping-listener', ports.PING_LISTENER_HEALTH_PORT, env);
  const publicWeb = tier('public-web', ports.PORT, {
    ...env,
    ...secrets,
    PORT: String(ports.PORT),
    INTERNAL_PORT: String(ports.INTERNAL_PORT),
    DISPATCHER_URLS: env.DISPATCHER_URLS || `http://127.0.0.1:${ports.DISPATCHER_PORT}`,
  });
  return [[dispatcher, pingListener], [publicWeb]];
}

function newSecrets() {
  return { INTERNAL_SECRETS: randomBytes(32).toString('base64url') };
}

/**
 * @param {string} name
 * @param {number} healthPort
 * @param {NodeJS.ProcessEnv} env
 * @returns {Service}
 */
function tier(name, healthPort, env) {
  return {
    name,
    args: ['--import', '@waybill/common/telemetry', `packages/${name}/src/main.ts`],
    env: {
      ...env,
      // Shells and CI images export HOST, for something else.
      HOST: '127.0.0.1',
      INTERNAL_HOST: '127.0.0.1',
      OTEL_SERVICE_NAME: name,
      HEALTH_PORT: String(healthPort),
    },
    readyUrl: `http://127.0.0.1:${healthPort}/health/ready`,
  };
}
