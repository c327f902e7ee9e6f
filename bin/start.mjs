/**
 * `npm start`: every service on this machine, each as a process of its own, their logs on this terminal. Ctrl-C stops
 * all. Settings are those of the services; ports of the same name get one of their own here.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { runServices } from './run-services.mjs';

/** Each port by the variable that changes it here. */
const defaultPorts = {
  PORT: 8080,
  INTERNAL_PORT: 8081,
  DISPATCHER_PORT: 8082,
  DISPATCHER_HEALTH_PORT: 8083,
  PING_LISTENER_HEALTH_PORT: 8084,
};

if (Number(process.versions.node.split('.')[0]) < 24) {
  fail(
    `needs Node 24 or newer and this is ${process.version}: run it as "npm start", which uses the project's own`,
  );
}
checkBroker(process.env.AMQP_URL);
const ports = readPorts();
for (const [name, port] of Object.entries(ports)) await checkIsFree(name, port);

process.exitCode = await runServices({ services: services(), onReady: printReady });

/** @param {string | undefined} url */
function checkBroker(url) {
  if (!url) {
    fail(
      'AMQP_URL is not set: start a RabbitMQ and name it, as in AMQP_URL=amqp://guest:guest@127.0.0.1:5672 npm start',
    );
  }
  // The URL is not repeated: it may hold a password.
  if (!URL.canParse(url) || !['amqp:', 'amqps:'].includes(new URL(url).protocol)) {
    fail('AMQP_URL is not a URL that starts with amqp:// or amqps://');
  }
}

function readPorts() {
  const entries = Object.entries(defaultPorts).map(([name, port]) => [
    name,
    toPort(name, process.env[name] || port),
  ]);
  return /** @type {typeof defaultPorts} */ (Object.fromEntries(entries));
}

/**
 * @param {string} name
 * @param {string | number} value
 */
function toPort(name, value) {
  const port = Number(value);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  return fail(`${name} must be a port from 1 to 65535 and is ${value}`);
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
    fail(
      code === 'EADDRINUSE'
        ? `port ${port} is in use: stop what uses it, or choose another with ${name}=<port>`
        : `port ${port} cannot be used (${code}): choose another with ${name}=<port>`,
    );
  }
  server.close();
  await once(server, 'close');
}

function services() {
  const secrets = process.env.INTERNAL_SECRETS || process.env.INTERNAL_SECRETS_FILE ? {} : newSecrets();
  return [
    service('dispatcher', ports.DISPATCHER_HEALTH_PORT, { ...secrets, PORT: ports.DISPATCHER_PORT }),
    service('ping-listener', ports.PING_LISTENER_HEALTH_PORT),
    service('public-web', ports.PORT, {
      ...secrets,
      PORT: ports.PORT,
      INTERNAL_PORT: ports.INTERNAL_PORT,
      DISPATCHER_URLS: process.env.DISPATCHER_URLS || `http://127.0.0.1:${ports.DISPATCHER_PORT}`,
    }),
  ];
}

function newSecrets() {
  return { INTERNAL_SECRETS: randomBytes(32).toString('base64url') };
}

/**
 * @param {string} name
 * @param {number} healthPort
 * @param {Record<string, string | number>} [env]
 */
function service(name, healthPort, env) {
  return {
    name,
    args: ['--import', '@waybill/common/telemetry', `packages/${name}/src/main.ts`],
    env: { ...process.env, OTEL_SERVICE_NAME: name, HEALTH_PORT: String(healthPort), ...env },
    readyUrl: `http://127.0.0.1:${healthPort}/health/ready`,
  };
}

function printReady() {
  const url = `http://localhost:${ports.PORT}`;
  console.log(`ready
  public  ${url}/
  docs    ${url}/docs
  try     curl ${url}/ -H 'content-type: application/json' -d '{"type":"PingRequest","data":{"sentAt":1}}'
  or      node bin/req.mjs${ports.PORT === defaultPorts.PORT ? '' : ` --url ${url}/`}
  stop    Ctrl-C`);
}

/**
 * @param {string} message
 * @returns {never}
 */
function fail(message) {
  console.error(message);
  process.exit(1);
}
