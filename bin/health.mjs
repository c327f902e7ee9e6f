/**
 * Exits 0 when the service on this machine whose health is on that port is ready: what `health.sh` calls where TLS is
 * spoken.
 *
 *     node health.mjs <port>
 *
 * It asks in plain HTTP, and where that is not spoken (a public-web with TLS_CERT) over TLS. The certificate is for the
 * name by which others call, so it is not looked at; nothing is told to whoever answers.
 *
 * Plain JavaScript without dependencies.
 */
import { get } from 'node:http';
import { get as getByTls } from 'node:https';

const [port] = process.argv.slice(2);
const options = { host: '127.0.0.1', port, path: '/health/ready', timeout: 2_000 };

const isReady = (await ask(get, options)) || (await ask(getByTls, { ...options, rejectUnauthorized: false }));
process.exit(isReady ? 0 : 1);

/**
 * @param {typeof get | typeof getByTls} getBy
 * @param {import('node:https').RequestOptions} request
 * @returns {Promise<boolean>}
 */
function ask(getBy, request) {
  return new Promise((resolve) => {
    const asked = getBy(request, ({ statusCode }) => resolve(statusCode === 200));
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
  });
}
