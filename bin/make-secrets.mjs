/**
 * Makes the secrets of the stack in docker-compose.yml, on first use: what is there is kept. Each folder goes to those
 * containers only that need it.
 *
 *     node make-secrets.mjs <folder>
 *
 * Plain JavaScript without dependencies: it runs before anything else does.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { makePrivateKey, publicKeyOf } from './sealing-keys.mjs';

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error('usage: node make-secrets.mjs <folder>');
  process.exit(1);
}

// The broker makes this user on its first start; these two files must name the same password.
const password = keep('broker/password');
write('broker/rabbitmq.conf', `default_user = waybill\ndefault_pass = ${password}\n`);
write('broker/amqp-url', `amqp://waybill:${password}@rabbitmq:5672`);
keep('internal/secrets');
const [privateKey] = JSON.parse(keep('private-keys/keys', () => JSON.stringify([makePrivateKey()])));
write('public-key/key', JSON.stringify(publicKeyOf(privateKey)));
keep('grafana/admin-password');

/**
 * The secret of that file; if there is none a new one, by default of 256 bits in letters, digits, `-` and `_`.
 *
 * @param {string} name
 * @param {() => string} [make]
 */
function keep(name, make = () => randomBytes(32).toString('base64url')) {
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
  writeFileSync(`${path}.new`, text, { mode: 0o444 });
  renameSync(`${path}.new`, path);
}
