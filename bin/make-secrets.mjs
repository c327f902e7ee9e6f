/**
 * Makes the secrets of the stack in docker-compose.yml, on first use: what is there is kept. Each folder goes to those
 * containers only that need it.
 *
 *     node make-secrets.mjs <folder>
 *
 * Plain JavaScript without dependencies: it runs before anything else does.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { brokerDefinitions, servicePermissions } from './plain/broker-users.mjs';
import { makePrivateKey, publicKeyOf } from './plain/sealing-keys.mjs';

const [folder] = process.argv.slice(2);
if (folder === undefined || folder.startsWith('-')) {
  console.error('usage: node make-secrets.mjs <folder>');
  process.exit(1);
}

// The broker loads these users at each of its starts. Its administrator's URL is for people and their tools.
const administrator = { name: 'waybill', password: keep('broker/password') };
write('broker/amqp-url', amqpUrl(administrator.name, administrator.password));
const passwords = Object.fromEntries(
  Object.keys(servicePermissions).map((name) => [name, keepPassword(name)]),
);
write('broker/definitions.json', JSON.stringify(brokerDefinitions({ administrator, passwords })));
write('broker/rabbitmq.conf', `load_definitions = ${join(folder, 'broker/definitions.json')}\n`);
keep('internal/secrets');
keep('results/secrets');
const [privateKey] = JSON.parse(keep('private-keys/keys', () => JSON.stringify([makePrivateKey()])));
write('public-key/key', JSON.stringify(publicKeyOf(privateKey)));
keep('grafana/admin-password');

/**
 * The password in the URL that the service of that name is given.
 *
 * @param {string} name
 */
function keepPassword(name) {
  return new URL(keep(`broker-${name}/amqp-url`, () => amqpUrl(name, randomSecret()))).password;
}

/**
 * @param {string} user
 * @param {string} password
 */
function amqpUrl(user, password) {
  return `amqp://${user}:${password}@rabbitmq:5672`;
}

/** 256 bits in letters, digits, `-` and `_`. */
function randomSecret() {
  return randomBytes(32).toString('base64url');
}

/**
 * The secret of that file; if there is none, a new one.
 *
 * @param {string} name
 * @param {() => string} [make]
 */
function keep(name, make = randomSecret) {
  const path = join(String(folder), name);
  if (!existsSync(path)) {
    write(name, make());
    console.log(`made ${path}`);
  }
  return readFileSync(path, 'utf8');
}

/**
 * Whole or not at all, should this process be killed. Readable by all: the containers that have the folder run as
 * different users, and no other sees it.
 *
 * @param {string} name
 * @param {string} text
 */
function write(name, text) {
  const path = join(String(folder), name);
  mkdirSync(dirname(path), { recursive: true });
  // One that was killed may have left its own, which nobody but root may write to.
  rmSync(`${path}.new`, { force: true });
  writeFileSync(`${path}.new`, text, { mode: 0o444 });
  renameSync(`${path}.new`, path);
}
