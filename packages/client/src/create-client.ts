/**
 * Asks Waybill, from Node.js and from browsers, without any dependency.
 *
 * A request is one event and its reply. It has an `Idempotency-Key` and an id that stay the same however often it is sent, and it
 * is sent again where that is safe or the key makes it so: when it was provably not taken (503, 429), and when the connection
 * broke before there was an answer. An answer that comes too late is fetched from where it is kept, if there is a store.
 */
import { type Attempt, attemptOf, type Sent } from './attempt.ts';
import { type Problem, provesNotRun, RequestFailed } from './request-failed.ts';
import { toFailure } from './to-failure.ts';

export { type Problem, RequestFailed };

export type ClientOptions = {
  /** Of public-web, such as `https://waybill.example`; in a browser, by default that of the page. */
  url?: string;
  /** Where keys are in use. One in a web page is everybody's. */
  apiKey?: string;
  /** The `source` of the events. Default: `/client`. */
  source?: string;
};

export type RequestOptions = {
  /** How long to wait for the reply, in all, in milliseconds (default 30,000). */
  timeoutMs?: number;
  /** Names the event; default: a random one. */
  id?: string;
  /** Gives up. The event may run all the same. */
  signal?: AbortSignal;
};

/** A reply, as a CloudEvent; `data` is undefined where the handler has nothing to say. */
export type Reply<Data = unknown> = { id: string; type: string; data: Data; [attribute: string]: unknown };

export type Client = {
  /**
   * Sends an event, and resolves with its reply.
   *
   * @throws RequestFailed when there is none; the reason of `options.signal`.
   *
   * @example
   * const { data } = await client.request('Order.Place', { sku: 'tea', quantity: 2 });
   */
  request<Data = unknown>(type: string, data?: unknown, options?: RequestOptions): Promise<Reply<Data>>;
};

/** Between two tries, unless the answer says how long. */
const AGAIN = { baseMs: 200, capMs: 5_000 };

/** Creates a client. @throws TypeError when `url` is none, or is missing where there is no page. */
export function createClient({ url = '', apiKey, source = '/client' }: ClientOptions = {}): Client {
  const origin = url.replace(/\/+$/, '');
  new URL(`${origin}/events`, (Reflect.get(globalThis, 'location') as URL | undefined)?.href);
  const headers: Record<string, string> = apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };

  return {
    async request<Data>(
      type: string,
      data?: unknown,
      { timeoutMs = 30_000, id = randomId(), signal }: RequestOptions = {},
    ) {
      const untilMs = performance.now() + timeoutMs;
      const event = { specversion: '1.0', id, source, type, datacontenttype: 'application/json', data };
      const sent: Sent = { origin, headers, event, key: randomId() };
      let location: string | undefined;
      let mayHaveRun = false;
      for (let tries = 1; ; tries += 1) {
        const attempt = await attemptOf(sent, { location, leftMs: untilMs - performance.now(), signal });
        if (attempt.kind === 'reply') return attempt.reply as Reply<Data>;
        if (attempt.kind === 'later') location = attempt.location;
        const pauseMs =
          attempt.retryAfterMs ?? Math.random() * Math.min(AGAIN.capMs, AGAIN.baseMs * 2 ** tries);
        if (!mayGoOn(attempt) || performance.now() + pauseMs >= untilMs)
          throw toFailure(attempt, { id, location, mayHaveRun });
        mayHaveRun ||= !provesNotRun(attempt.problem);
        await pause(pauseMs, signal);
      }
    },
  };
}

function mayGoOn({ kind }: Attempt): boolean {
  return kind === 'not-taken' || kind === 'broken' || kind === 'later';
}

/** @throws the reason of `signal` */
function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const giveUp = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', giveUp);
      resolve();
    }, ms);
    if (signal?.aborted) giveUp();
    else signal?.addEventListener('abort', giveUp, { once: true });
  });
}

/** 128 random bits. `crypto.randomUUID` is not there on pages without TLS. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
