/**
 * A link without a WebSocket, where a proxy lets none through: the mailbox comes as Server-Sent Events, and each event is a request of
 * its own, one after the other, so that they keep their order.
 *
 * A stream ends now and then, and the next one goes on behind the token that the client is done with; that acknowledges all up to it.
 * It is opened when the client is done with all that the one before has brought, so that nothing comes twice.
 */
import {
  type End,
  isFinal,
  type Link,
  type LinkOptions,
  type Message,
  type Outgoing,
  problemIn,
  retryAfterOf,
  toEnd,
  urlOf,
} from './link.ts';
import { backOffMs, pause } from './pause.ts';
import { readEventStream } from './read-event-stream.ts';

/** A comment comes every 15 s. */
const SILENCE_MS = 45_000;
/** How long public-web may take to begin a stream. */
const OPEN_MS = 10_000;
/** How long public-web may take to answer that it has an event, or has not. */
const POST_MS = 35_000;
/**
 * Waited so long at most for a client that is not done: it may itself wait for an answer that only the next stream brings. What it has
 * not begun with comes again then.
 */
const SETTLED_MS = 5_000;
const AGAIN = { baseMs: 200, capMs: 5_000 };

/** Opens one. */
export function openEventStreamLink({
  origin,
  client,
  headers,
  after,
  settled,
  onOpen,
  onMessage,
}: LinkOptions): Link {
  const path = `/clients/${encodeURIComponent(client)}`;
  const over = new AbortController();
  const { signal } = over;
  let posting: Promise<unknown> = Promise.resolve();

  const ended = readOn()
    .catch((): End => ({ kind: 'lost' }))
    .finally(() => over.abort());

  /** Stream after stream, until one breaks off. */
  async function readOn(): Promise<End> {
    for (let isFirst = true; ; isFirst = false) {
      const url = urlOf(origin, `${path}/events`, { after: after() });
      const deadline = setTimeout(() => over.abort(), OPEN_MS);
      const response = await fetch(url, { headers, signal }).finally(() => clearTimeout(deadline));
      if (!response.ok || !response.body) return toEnd(response);
      if (isFirst) onOpen();
      let isTakenOver = false;
      let retryAfterMs = 0;
      await readEventStream(response.body, {
        silenceMs: SILENCE_MS,
        onEvent({ name, data, retryMs }) {
          retryAfterMs = retryMs ?? retryAfterMs;
          isTakenOver ||= name === 'waybill.TakenOver';
          if (name === 'message' && data) onMessage(JSON.parse(data) as Message);
        },
      });
      if (isTakenOver) return { kind: 'taken-over' };
      await pause(retryAfterMs, signal);
      await settledOrLate();
    }
  }

  /** @throws when the link is over */
  async function settledOrLate(): Promise<void> {
    const enough = new AbortController();
    const late = pause(SETTLED_MS, AbortSignal.any([signal, enough.signal]));
    await Promise.race([settled(), late]).finally(() => enough.abort());
  }

  /** Until it is known to be there, or not to be, or nobody wants to know. */
  async function post(outgoing: Outgoing): Promise<void> {
    for (let failures = 1; outgoing.isWanted() && !signal.aborted; failures += 1) {
      const retryAfterMs = await postOnce(outgoing).catch(() => undefined);
      if (retryAfterMs === 'done') return;
      await pause(retryAfterMs ?? backOffMs(failures, AGAIN), signal).catch(() => {});
    }
  }

  /** How long to wait before it is sent again, if that is known. */
  async function postOnce({ event, text, key, onTaken }: Outgoing): Promise<'done' | number | undefined> {
    const response = await fetch(urlOf(origin, `${path}/events`), {
      method: 'POST',
      headers: {
        ...headers,
        'content-type': 'application/cloudevents+json',
        'idempotency-key': `"${key}"`,
      },
      body: text,
      signal: AbortSignal.timeout(POST_MS),
    });
    const problem = response.ok ? undefined : await problemIn(response);
    // Of one whose outcome is unknown too, the mailbox will tell.
    if (!problem || problem.code === 'outcome-unknown') onTaken();
    else if (!isFinal(response)) return retryAfterOf(response);
    else onMessage({ id: event.id, type: 'waybill.Problem', requestid: event.id, data: problem });
    return 'done';
  }

  return {
    via: 'event-stream',
    send(outgoing) {
      posting = posting.then(() => post(outgoing));
    },
    // The next stream does, by its token.
    acknowledge() {},
    ended,
    async close() {
      over.abort();
      await ended;
    },
  };
}
