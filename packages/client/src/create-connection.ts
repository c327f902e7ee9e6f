/**
 * Opens links, one after the other: by WebSocket or, where none can be opened, by Server-Sent Events, and always behind the last
 * token that the client is done with.
 *
 *     request ─▶ pending-requests ─▶ link (websocket-link, event-stream-link) ─▶ pending-requests, handover ─▶ onEvent
 */
import {
  type Connection,
  ConnectionFailed,
  type ConnectionState,
  type ConnectOptions,
} from './connection.ts';
import { openEventStreamLink } from './event-stream-link.ts';
import { createHandover } from './handover.ts';
import { type End, type Link, type Message, urlOf } from './link.ts';
import { backOffMs, pause } from './pause.ts';
import { createPendingRequests } from './pending-requests.ts';
import { randomId } from './random-id.ts';
import { checkTimeout, DEFAULT_TIMEOUT_MS, type Reply, type RequestOptions, toEvent } from './request.ts';
import { type Problem, problemOf, RequestFailed } from './request-failed.ts';
import { holdTabLock } from './tab-lock.ts';
import { openWebSocketLink } from './websocket-link.ts';

/** Between two tries, unless public-web says how long; a link that has lasted so long did not fail. */
const AGAIN = { baseMs: 500, capMs: 5_000 };
/** Where a WebSocket has been open before, so many in a row must fail before something else is tried. */
const MAX_UNOPENED = 3;
/** How long the last acknowledgement may take. */
const CLOSE_MS = 2_000;

export type CreateConnectionOptions = ConnectOptions & {
  origin: string;
  /** Of every request. */
  headers: Record<string, string>;
  /** Of the events. */
  source: string;
};

/** Creates a {@link Connection}, and begins to connect. */
export function createConnection({
  origin,
  headers,
  source,
  client = randomId(),
  after,
  onEvent,
  onState,
  ticket,
}: CreateConnectionOptions): Connection {
  const over = new AbortController();
  const { promise: closed, resolve: onClosed } = Promise.withResolvers<ConnectionFailed | undefined>();
  const requests = createPendingRequests({ source });
  const handover = createHandover({
    after,
    onEvent: (event) => onEvent?.(event),
    onFailed: (error) => fail(problemOf('event-failed', 500, 'onEvent has failed'), error),
  });
  let state: ConnectionState = { name: 'connecting' };
  let link: Link | undefined;
  let closing: Promise<void> | undefined;
  let isClosed = false;
  connect().catch((error: unknown) => fail(problemOf('unexpected', 500, 'the client has failed'), error));

  /** Nothing comes after `closed`. */
  function become(next: ConnectionState): void {
    if (state.name === 'closed') return;
    state = next;
    // Whatever it throws is no matter of the connection.
    queueMicrotask(() => onState?.(next));
  }

  function end(error?: ConnectionFailed): void {
    if (over.signal.aborted) return;
    over.abort();
    requests.fail(error ?? new Error('the connection is closed'));
    handover.stop();
    void link?.close();
    become({ name: 'closed', ...(error && { error }) });
    onClosed(error);
  }

  function fail(problem: Problem, cause?: unknown): void {
    end(new ConnectionFailed(problem, cause));
  }

  /** @throws when it is over */
  async function connect(): Promise<void> {
    await holdTabLock(`waybill ${origin} ${client}`, {
      signal: over.signal,
      onWait: () => become({ name: 'standby' }),
    });
    let via: Link['via'] = 'websocket';
    let mayFallBack = !ticket;
    let unopened = 0;
    for (let failures = 0; ; ) {
      if (isClosed) return;
      over.signal.throwIfAborted();
      if (state.name !== 'connecting') become({ name: 'connecting' });
      const { ended, hasOpened, hasLasted } = await useLink(via);
      if (isClosed) return;
      if (ended.kind === 'refused') return fail(ended.problem);
      if (ended.kind === 'taken-over')
        return fail(problemOf('taken-over', 409, 'the client has connected elsewhere'));
      if (hasOpened && via === 'websocket') mayFallBack = false;
      unopened = ended.kind === 'unopened' ? unopened + 1 : 0;
      via =
        ended.kind === 'unopened' && !ticket && (mayFallBack || unopened >= MAX_UNOPENED)
          ? 'event-stream'
          : 'websocket';
      if (via === 'event-stream') continue;
      failures = hasLasted ? 1 : failures + 1;
      const retryAfterMs = ended.kind === 'lost' ? ended.retryAfterMs : undefined;
      await pause(retryAfterMs ?? backOffMs(failures, AGAIN), over.signal);
    }
  }

  /** Resolves when it has ended. */
  async function useLink(via: Link['via']): Promise<{ ended: End; hasOpened: boolean; hasLasted: boolean }> {
    let openedMs = Number.POSITIVE_INFINITY;
    let hasCome = false;
    const open = via === 'websocket' ? openWebSocketLink : openEventStreamLink;
    const opened = open({
      origin,
      client,
      headers,
      ticket,
      after: handover.resume,
      settled: handover.settled,
      onOpen() {
        if (over.signal.aborted) return;
        openedMs = performance.now();
        become({ name: 'connected', via });
        handover.opened(opened);
        requests.opened(opened);
      },
      onMessage(message) {
        if (over.signal.aborted) return;
        hasCome = true;
        take(message);
      },
    });
    link = opened;
    const ended = await opened.ended;
    link = undefined;
    handover.lost();
    requests.lost(ended.kind === 'too-large');
    const hasLasted = hasCome || performance.now() - openedMs > AGAIN.capMs;
    return { ended, hasOpened: openedMs < Number.POSITIVE_INFINITY, hasLasted };
  }

  function take(message: Message): void {
    const { token } = message;
    if (token === undefined) requests.settle(message);
    else handover.take({ ...message, token }, () => requests.settle(message));
  }

  /** public-web writes down a little later what was acknowledged over a link; this is written when it is answered. */
  async function acknowledgeLast(): Promise<void> {
    if (ticket) return;
    const url = urlOf(origin, `/clients/${encodeURIComponent(client)}/mailbox`, { after: handover.token() });
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(CLOSE_MS) }).catch(
      () => undefined,
    );
    await response?.body?.cancel();
  }

  async function drain(): Promise<void> {
    await requests.settled();
    await handover.settled();
    isClosed = true;
    await link?.close();
    if (handover.token() !== after) await acknowledgeLast();
    end();
  }

  return {
    client,
    get state() {
      return state;
    },
    closed,
    async request<Data>(
      type: string,
      data: unknown,
      { timeoutMs = DEFAULT_TIMEOUT_MS, id = randomId(), partitionkey, signal }: RequestOptions = {},
    ) {
      checkTimeout(timeoutMs);
      if (closing) throw new RequestFailed(problemOf('not-accepted', 503, 'the connection is closed'), id);
      return (await requests.add(toEvent(source, type, data, { id, partitionkey }), {
        timeoutMs,
        signal,
      })) as Reply<Data>;
    },
    close() {
      closing ??= drain();
      return closing;
    },
  };
}
