import { UserError } from './user-error.mjs';

const REQUEST_TIMEOUT_MS = 10_000;

/**
 * What a server answers, as JSON.
 *
 * @param {string} who its name, for messages
 * @param {string} url
 * @returns {Promise<any>}
 * @throws {UserError} if it cannot be reached or answers anything else
 */
export async function getJson(who, url) {
  const { origin } = new URL(url);
  const response = await get(who, url, origin);
  const text = await response.text().catch(() => '');
  if (!response.ok) {
    const why = text.replaceAll(/\s+/g, ' ').slice(0, 200);
    throw new UserError(`${who} at ${origin} answered ${response.status}${why ? `: ${why}` : ''}`);
  }
  try {
    return JSON.parse(text) ?? {};
  } catch {
    throw new UserError(`what answers at ${origin} is no ${who}: it sent no JSON`);
  }
}

/**
 * @param {string} who
 * @param {string} url
 * @param {string} origin
 */
async function get(who, url, origin) {
  try {
    const signal = AbortSignal.timeout(REQUEST_TIMEOUT_MS);
    return await fetch(url, { headers: { accept: 'application/json' }, signal });
  } catch (error) {
    const { name, message, cause } = /** @type {Error & { cause?: any }} */ (error);
    if (name === 'TimeoutError') throw new UserError(`no answer from ${who} at ${origin} within 10 s`);
    if (cause?.code === 'ECONNREFUSED') {
      throw new UserError(`nothing listens at ${origin}: is ${who}, or npm start, running?`);
    }
    throw new UserError(`${who} at ${origin} cannot be reached: ${cause?.message || cause?.code || message}`);
  }
}
