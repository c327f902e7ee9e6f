/**
 * A client of Waybill for web pages, and for whatever else has `fetch`.
 *
 * Which answers may be sent again: 503 means that the event was not accepted, and 429 that it was one too many: nothing has run.
 * 504, and a connection that broke, mean that nobody knows, so it goes again under the same id, with which a listener
 * tells that it is the same event.
 */

const ATTEMPTS = 5;

/**
 * @typedef {{ status: number, code: string, title: string, detail?: string, errors?: { pointer: string, detail: string }[] }} Problem
 */

/** The answer is a problem (RFC 9457) that no further attempt would change. */
export class Refused extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.detail ?? problem.title);
    this.problem = problem;
  }
}

/**
 * Sends an event, and resolves with the data of the reply; undefined where there is nothing to say.
 *
 * @param {string} url of Waybill, without a slash at its end
 * @param {string} type
 * @param {unknown} data
 * @returns {Promise<any>}
 */
export async function ask(url, type, data) {
  const event = { specversion: '1.0', id: crypto.randomUUID(), source: '/examples/browser', type, data };
  for (let attempt = 1; ; attempt++) {
    const response = await post(url, event).catch((error) => (attempt < ATTEMPTS ? undefined : fail(error)));
    if (response?.status === 204) return undefined;
    const body = /** @type {any} */ (await response?.json());
    if (response?.status === 200) return body.data;
    const isWorthIt = !response || [429, 503, 504].includes(response.status);
    if (response && (!isWorthIt || attempt === ATTEMPTS)) throw new Refused(body);
    const pauseMs = 1000 * Number(response?.headers.get('retry-after')) || 100 * 2 ** attempt;
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
}

/**
 * @param {string} url
 * @param {object} event
 */
function post(url, event) {
  return fetch(`${url}/events`, {
    method: 'POST',
    headers: { 'content-type': 'application/cloudevents+json' },
    body: JSON.stringify(event),
  });
}

/**
 * @param {unknown} error
 * @returns {never}
 */
function fail(error) {
  throw error;
}
