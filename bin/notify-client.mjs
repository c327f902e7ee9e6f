/** Tells public-web of a client, over gRPC or over HTTP. */
import { createSecureContext } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { credentials, loadPackageDefinition, Metadata } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { UserError } from './user-error.mjs';

const proto = fileURLToPath(new URL('../proto/data_dispatcher_service.proto', import.meta.url));
const TIMEOUT_MS = 10_000;

/** @typedef {{ client_id: string, queue_name: string, amqp_host: string, amqp_port: number, amqp_user: string, amqp_pass: string }} NewClient */
/** @typedef {{ message: string, streamId: string | undefined }} Accepted `streamId` is told over HTTP only */

/**
 * @param {string} address host:port, or https://host:port
 * @param {NewClient} client
 * @returns {Promise<Accepted>}
 * @throws {UserError} with the reason of the answer, or why there is none
 */
export async function notifyByGrpc(address, client) {
  const definition = loadSync(proto, { keepCase: true, defaults: true });
  const { data_dispatcher_service } = /** @type {any} */ (loadPackageDefinition(definition));
  const target = address.replace(/^https:\/\//, '');
  // Not createSsl: variables of gRPC's own would decide there which authorities are trusted.
  const security =
    target === address
      ? credentials.createInsecure()
      : credentials.createFromSecureContext(createSecureContext());
  // A proxy that the environment names would get the password.
  const options = { 'grpc.enable_http_proxy': 0 };
  const stub = new data_dispatcher_service.DataDispatcherService(target, security, options);
  try {
    const { status, message } = await new Promise((resolve, reject) => {
      const metadata = new Metadata();
      for (const [name, value] of Object.entries(apiKeyHeaders())) metadata.set(name, value);
      stub.NotifyNewClient(
        client,
        metadata,
        { deadline: Date.now() + TIMEOUT_MS },
        (/** @type {Error | null} */ error, /** @type {{ status: string, message: string }} */ answer) =>
          error ? reject(explain(address, error)) : resolve(answer),
      );
    });
    if (status !== 'OK') throw new UserError(`${address} answered ${status}: ${message}`);
    return { message, streamId: undefined };
  } finally {
    stub.close();
  }
}

/**
 * @param {string} url of public-web
 * @param {NewClient} client
 * @returns {Promise<Accepted>}
 * @throws {UserError} with the problem of the answer, or why there is none
 */
export async function notifyByHttp(url, client) {
  const endpoint = `${url.replace(/\/+$/, '')}/clients`;
  const { response, answer } = await post(endpoint, client);
  if (response.status !== 202) {
    const { title = response.statusText, detail } = answer;
    throw new UserError(`${endpoint} answered ${response.status} ${title}${detail ? `: ${detail}` : ''}`);
  }
  return { message: answer.message ?? 'accepted', streamId: answer.stream_id };
}

/**
 * @param {string} address
 * @param {Error & { code?: number, details?: string }} error
 */
function explain(address, { code, details, message }) {
  if (code === 14) return new UserError(`nothing answers at ${address}: is Waybill running? (${details})`);
  if (code === 16 || code === 7)
    return new UserError(`${address} refuses the call: ${details} (WAYBILL_API_KEY)`);
  if (code === 4) return new UserError(`no answer from ${address} within ${TIMEOUT_MS / 1000} s`);
  return new UserError(`the call to ${address} failed: ${message}`);
}

/**
 * @param {string} url
 * @param {NewClient} client
 * @returns {Promise<{ response: Response, answer: { title?: string, detail?: string, message?: string, stream_id?: string } }>}
 */
async function post(url, client) {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...apiKeyHeaders() },
      body: JSON.stringify(client),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { response, answer: parse(await response.text()) };
  } catch (error) {
    const { name, message, cause } = /** @type {Error & { cause?: any }} */ (error);
    if (name === 'TimeoutError') throw new UserError(`no answer from ${url} within ${TIMEOUT_MS / 1000} s`);
    if (cause?.code === 'ECONNREFUSED') throw new UserError(`nothing listens at ${url}: is Waybill running?`);
    throw new UserError(`the request to ${url} failed: ${cause?.message || message}`);
  }
}

/** @returns {Record<string, string>} none without a key; a variable, because lists of processes show options */
function apiKeyHeaders() {
  const key = process.env.WAYBILL_API_KEY;
  return key ? { authorization: `Bearer ${key}` } : {};
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text) ?? {};
  } catch {
    return {};
  }
}
