/**
 * Asks Waybill, from Node.js and from browsers, without any dependency.
 *
 * A request is one event and its reply. It has an `Idempotency-Key` and an id that stay the same however often it is sent, and it
 * is sent again where that is safe or the key makes it so: when it was provably not taken (503, 429), and when the connection
 * broke before there was an answer. An answer that comes too late is fetched from where it is kept, if there is a store.
 */
import { type Attempt, attemptOf, type Sent } from './attempt.ts';
import {
  type Connection,
  ConnectionFailed,
  type ConnectionState,
  type ConnectOptions,
  type MailboxEvent,
} from './connection.ts';
import { createConnection } from './create-connection.ts';
import { backOffMs, pause } from './pause.ts';
import { randomId } from './random-id.ts';
import { checkTimeout, DEFAULT_TIMEOUT_MS, type Reply, type RequestOptions, toEvent } from './request.ts';
import { type Problem, provesNotRun, RequestFailed } from './request-failed.ts';
import { toFailure } from './to-failure.ts';

export type { Connection, ConnectionState, ConnectOptions, MailboxEvent, Problem, Reply, RequestOptions };
export { ConnectionFailed, RequestFailed };

export type ClientOptions = {
  /** Of public-web, such as `https://waybill.example`; in a browser, by default that of the page. */
  url?: string;
  /** Where keys are in use. One in a web page is everybody's. */
  apiKey?: string;
  /** The `source` of the events. Default: `/client`. */
  source?: string;
};

export type Client = {
  /**
   * Sends an event, and resolves with its reply.
   *
   * @throws RequestFailed when there is none; the reason of `options.signal`; TypeError when `data` is none in JSON; RangeError when
   * timers cannot wait for `options.timeoutMs`.
   *
   * @example
   * const { data } = await client.request('Order.Place', { sku: 'tea', quantity: 2 });
   */
  request<Data = unknown>(type: string, data?: unknown, options?: RequestOptions): Promise<Reply<Data>>;
  /**
   * Begins to connect, as a client that stays; needs a store.
   *
   * @example
   * const connection = client.connect({ client: 'shop-7', onEvent: (event) => console.log(event.type, event.data) });
   * const { data } = await connection.request('Order.Place', { sku: 'tea', quantity: 2 });
   * await connection.close();
   */
  connect(options?: ConnectOptions): Connection;
};

/** Between two tries, unless the answer says how long. */
const AGAIN = { baseMs: 400, capMs: 5_000 };

/** Creates a client. @throws TypeError when `url` is none, or is missing where there is no page. */
export function createClient({ url = '', apiKey, source = '/client' }: ClientOptions = {}): Client {
  const origin = url.replace(/\/+$/, '');
  new URL(`${origin}/events`, (Reflect.get(globalThis, 'location') as URL | undefined)?.href);
  const headers: Record<string, string> = !apiKey ? {} : { authorization: `Bearer ${apiKey}` };

  return {
    async request<Data>(
      type: string,
      data?: unknown,
      { timeoutMs = DEFAULT_TIMEOUT_MS, id = randomId(), partitionkey, signal }: RequestOptions = {},
    ) {
      checkTimeout(timeoutMs);
      const untilMs = performance.now() + timeoutMs;
      const sent: Sent = {
        origin,
        headers,
        body: JSON.stringify(toEvent(source, type, data, { id, partitionkey })),
        key: randomId(),
      };
      let location: string | undefined;
      let mayHaveRun = false;
      for (let tries = 1; ; tries += 1) {
        const attempt = await attemptOf(sent, { location, leftMs: untilMs - performance.now(), signal });
        if (attempt.kind === 'reply') return attempt.reply as Reply<Data>;
        if (attempt.kind === 'later') location = attempt.location;
        const pauseMs = attempt.retryAfterMs ?? backOffMs(tries, AGAIN);
        if (!mayGoOn(attempt) || performance.now() + pauseMs >= untilMs)
          throw toFailure(attempt, { id, location, mayHaveRun });
        mayHaveRun ||= !provesNotRun(attempt.problem);
        await pause(pauseMs, signal);
      }
    },
    connect: (options) => createConnection({ ...options, origin, headers, source }),
  };
}

function mayGoOn({ kind }: Attempt): boolean {
  return kind === 'not-taken' || kind === 'broken' || kind === 'later';
}
