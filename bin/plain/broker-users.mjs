/**
 * What each service's user must be allowed in RabbitMQ, and RabbitMQ's definitions with these users: what
 * docs/operations.md says, docker-compose.yml uses and test/e2e/permissions.test.ts runs the services with.
 *
 * The least that permissions by name can say, and more than a service does: docs/security.md has what is left.
 *
 * Plain JavaScript without dependencies: bin/make-secrets.mjs uses it.
 */
import { createHash, randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { readPackagedListeners } from './packaged-listeners.mjs';

/** @typedef {{ configure: string, write: string, read: string }} Permissions names, as regular expressions */

const SHARED = ['events', 'observed', 'types', 'replies(\\.retry)?', 'dead-letters'];

/**
 * By user, which is called as the package; those that are not here have none.
 *
 * @type {Record<string, Permissions>}
 */
export const servicePermissions = {
  dispatcher: permissionsFor(SHARED),
  ...Object.fromEntries(
    readPackagedListeners(fileURLToPath(new URL('../../packages', import.meta.url))).map(
      ({ name, service }) => [name, permissionsFor([...SHARED, `${service}(\\..*)?`])],
    ),
  ),
};

/**
 * Definitions that RabbitMQ loads at its start (`load_definitions`): a virtual host, a user per service, and an
 * administrator. RabbitMQ's own first user, guest, is not made then.
 *
 * @param {{ administrator: { name: string, password: string }, passwords: Record<string, string> }} users
 */
export function brokerDefinitions({ administrator, passwords }) {
  const everything = { configure: '.*', write: '.*', read: '.*' };
  const services = Object.entries(servicePermissions);
  return {
    vhosts: [{ name: '/' }],
    users: [
      user(administrator.name, administrator.password, ['administrator']),
      ...services.map(([name]) => user(name, String(passwords[name]), [])),
    ],
    permissions: [[administrator.name, everything], ...services].map(([name, permissions]) => ({
      user: name,
      vhost: '/',
      .../** @type {Permissions} */ (permissions),
    })),
  };
}

/**
 * Of the names `waybill.<name>`. A user that declares a queue that dead-letters, or publishes to one, writes to the default
 * exchange.
 *
 * @param {string[]} names
 * @returns {Permissions}
 */
function permissionsFor(names) {
  const ours = `waybill\\.(${names.join('|')})`;
  return { configure: `^${ours}$`, write: `^(${ours}|amq\\.default)$`, read: `^${ours}$` };
}

/**
 * RabbitMQ's form of a salted SHA-256. The passwords are random, so that a fast hash does.
 *
 * @param {string} name
 * @param {string} password
 * @param {string[]} tags
 */
function user(name, password, tags) {
  const salt = randomBytes(4);
  const hash = createHash('sha256').update(salt).update(password).digest();
  return {
    name,
    password_hash: Buffer.concat([salt, hash]).toString('base64'),
    hashing_algorithm: 'rabbit_password_hashing_sha256',
    tags,
  };
}
