/**
 * Connections are taken before requests are handled. Node takes one connection in a turn of its event loop, and handles in the same
 * turn all the requests that are there: tens of milliseconds of work in a busy process. Left at that, who is connected is served for
 * as long as he asks, and of those who connect meanwhile some dozens a second: 200 of them got no answer within 3 s beside 256 that
 * kept asking (measured).
 *
 * So requests wait while connections come, which take short turns then, and are handled after the first turn that brings none. It
 * costs nothing where nobody connects. All servers of a process have this together, as they share the event loop.
 */
import { AsyncResource } from 'node:async_hooks';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Server as TcpServer } from 'node:net';

/**
 * Connections taken before requests have their turn, or those without end would hold them up; and for how long, as the handshakes of
 * TLS fall in between, each some milliseconds of work.
 */
const MOST_AT_ONCE = 64;
const MOST_MS = 5;

const waiting: (() => void)[] = [];
let isAccepting = false;
let taken = 0;
let sinceMs = 0;

/** Has connections to `server` taken before requests are handled that are put off (`putOffRequests`). */
export function acceptFirst(server: TcpServer): void {
  server.on('connection', () => {
    taken += 1;
    if (isAccepting) return;
    isAccepting = true;
    sinceMs = performance.now();
    setImmediate(lookForMore, 0);
  });
}

/**
 * Puts the requests to `server` off while connections are taken. What listens for them by now hears of them then; what is added
 * later, as they come.
 */
export function putOffRequests(server: Server): void {
  const handlers = server.listeners('request') as ((...args: [IncomingMessage, ServerResponse]) => void)[];
  server.removeAllListeners('request');
  const handle = (request: IncomingMessage, response: ServerResponse) => {
    for (const handler of handlers) handler.call(server, request, response);
  };
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    // Who has gone by then wants nothing any more.
    if (isAccepting) afterRequests(() => request.destroyed || handle(request, response));
    else handle(request, response);
  });
}

/** Calls `act` at once, or when what was put off by now has been handled: in the context, such as a span, of this call. */
export function afterRequests(act: () => void): void {
  if (isAccepting) waiting.push(AsyncResource.bind(act));
  else act();
}

function lookForMore(takenBefore: number): void {
  if (taken > takenBefore && taken < MOST_AT_ONCE && performance.now() < sinceMs + MOST_MS) {
    setImmediate(lookForMore, taken);
    return;
  }
  try {
    // What is put off meanwhile stands behind.
    for (const act of waiting) act();
  } finally {
    waiting.length = 0;
    taken = 0;
    isAccepting = false;
  }
}
