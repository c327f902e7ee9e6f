/**
 * Clients that close their half of a connection when they have sent all (`shutdown(SHUT_WR)`), and still want the answer.
 *
 * On the wire that is what a client does as well that has gone: it shows only when something is sent to it, and its
 * system answers with a reset. So a client that waits is sent `100 Continue`, which any client of HTTP/1.1 has to take
 * (RFC 9110, section 15.2): at once, again a moment later, when a reset has had time to come, and then every second.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

const FIRST_MS = 20;
const EVERY_MS = 1_000;

/** Has `server` answer half-closed clients; those that have gone have their response closed within some 20 ms. */
export function answerHalfClosed(server: Server): void {
  const current = new WeakMap<Socket, ServerResponse>();
  // Node's own switch for it, which its types do not have.
  Object.assign(server, { httpAllowHalfOpen: true });
  server.on('request', ({ socket }: IncomingMessage, response: ServerResponse) => {
    if (!current.has(socket)) socket.once('end', () => probe(current.get(socket), FIRST_MS));
    current.set(socket, response);
  });
}

function probe(response: ServerResponse | undefined, nextMs: number): void {
  if (!response || response.headersSent || response.destroyed || response.req.httpVersion === '1.0') return;
  response.writeContinue();
  setTimeout(() => probe(response, EVERY_MS), nextMs).unref();
}
