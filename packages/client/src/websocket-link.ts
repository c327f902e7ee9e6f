/** A link by `GET /ws`, whose client acknowledges. Where a key is needed, a ticket stands for it: keys do not belong into URLs. */
import { parse } from './attempt.ts';
import type { End, Link, LinkOptions, Message } from './link.ts';
import { toEnd, urlOf } from './link.ts';

/** Close codes (RFC 6455, section 7.4.1, and public-web's own). */
const TOO_LARGE = 1009;
const TAKEN_OVER = 4001;
/** How long a WebSocket may take to open, as long as public-web may take to answer; and to close. */
const OPEN_MS = 10_000;
const CLOSE_MS = 2_000;
/** A heartbeat comes every 30 s. Nobody tells a page of a connection that has gone without a word, as when it changes its network. */
const SILENCE_MS = 45_000;
const HEARTBEAT_TYPE = 'waybill.Heartbeat';

export type WebSocketLinkOptions = LinkOptions & {
  /** Gets a ticket. Default: from public-web by the `headers`, where they have a key. */
  ticket?: (() => string | Promise<string>) | undefined;
};

/** Opens one. */
export function openWebSocketLink({ onOpen, onMessage, ...options }: WebSocketLinkOptions): Link {
  const { promise: ended, resolve: end } = Promise.withResolvers<End>();
  let socket: WebSocket | undefined;
  let isOpen = false;
  /** A public-web of before sends none: its silence says nothing. */
  let hasHeartbeats = false;
  let isOver = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  // Whatever keeps a page or a process from opening one may not keep it from something else.
  open().catch(() => end({ kind: 'unopened' }));
  void ended.then(() => {
    isOver = true;
    clearTimeout(timer);
    socket?.close();
  });

  async function open(): Promise<void> {
    endAfter(OPEN_MS, { kind: 'lost' });
    const shown = await ticketOf(options).catch((): End => ({ kind: 'lost' }));
    if (shown && typeof shown !== 'string') return end(shown);
    if (isOver) return;
    endAfter(OPEN_MS, { kind: 'unopened' });
    const { origin, client, after } = options;
    const url = urlOf(origin, '/ws', {
      client,
      acks: 'client',
      heartbeats: 'true',
      after: after(),
      ticket: shown,
    });
    url.protocol = url.protocol.replace('http', 'ws');
    socket = new WebSocket(url, 'cloudevents.json');
    socket.onopen = () => {
      clearTimeout(timer);
      isOpen = true;
      onOpen();
    };
    socket.onmessage = ({ data }) => {
      const message = parse(String(data)) as Message | undefined;
      const isHeartbeat = message?.type === HEARTBEAT_TYPE;
      hasHeartbeats ||= isHeartbeat;
      if (hasHeartbeats && socket?.readyState === 1) endAfter(SILENCE_MS, { kind: 'lost' });
      if (!message) end({ kind: 'lost' });
      else if (!isHeartbeat) onMessage(message);
    };
    socket.onclose = ({ code }) => end(isOpen ? endOf(code) : { kind: 'unopened' });
  }

  function endAfter(ms: number, as: End): void {
    clearTimeout(timer);
    timer = setTimeout(() => end(as), ms);
  }

  function write(text: string): void {
    // One that has closed loses it, as one that breaks right after does.
    if (socket?.readyState === 1) socket.send(text);
  }

  return {
    via: 'websocket',
    send: ({ text }) => write(text),
    acknowledge: (token) => write(JSON.stringify({ type: 'waybill.Ack', token })),
    ended,
    async close() {
      socket?.close();
      if (socket) endAfter(CLOSE_MS, { kind: 'lost' });
      else end({ kind: 'lost' });
      await ended;
      clearTimeout(timer);
    },
  };
}

function endOf(code: number): End {
  if (code === TAKEN_OVER) return { kind: 'taken-over' };
  return { kind: code === TOO_LARGE ? 'too-large' : 'lost' };
}

/** Undefined where no key is known. @throws whatever getting it throws */
async function ticketOf({
  origin,
  headers,
  ticket,
}: Pick<WebSocketLinkOptions, 'origin' | 'headers' | 'ticket'>): Promise<string | End | undefined> {
  if (ticket) return ticket();
  if (!headers.authorization) return undefined;
  const signal = AbortSignal.timeout(OPEN_MS);
  const response = await fetch(urlOf(origin, '/tickets'), { method: 'POST', headers, signal });
  if (!response.ok) return toEnd(response);
  return ((await response.json()) as { ticket: string }).ticket;
}
