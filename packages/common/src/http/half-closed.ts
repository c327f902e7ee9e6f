/**
 * Clients that close their half of a connection when they have sent all (`shutdown(SHUT_WR)`), and still want the answer.
 *
 * On the wire that is what a client does as well that has gone: it shows only when something is sent to it, and its
 * system answers with a reset. So a client that waits is sent `100 Continue`, which any client of HTTP/1.1 has to take
 * (RFC 9110, section 15.2): at once, again a moment later, when a reset has had time to come, and then every second.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { unansweredOn } from './unanswered.ts';

const FIRST_MS = 20;
const EVERY_MS = 1_000;

/**
 * Has `server`, whose responses are kept (`unanswered.ts`), answer half-closed clients; those that have gone have their
 * responses closed within some 20 ms.
 */
export function answerHalfClosed(server: Server): void {
  // Node's own switch for it, which its types do not have.
  Object.assign(server, { httpAllowHalfOpen: true });
  const watch = (socket: Socket) => socket.on('end', () => probe(socket, FIRST_MS));
  // Of a TLS connection the latter tells; what is below it owes nothing.
  server.on('connection', watch).on('secureConnection', watch);
}

function probe(socket: Socket, nextMs: number): void {
  const [oldest] = unansweredOn(socket);
  if (!oldest || socket.destroyed) return;
  if (oldest.socket && !oldest.headersSent && oldest.req.httpVersion !== '1.0') oldest.writeContinue();
  setTimeout(() => probe(socket, EVERY_MS), nextMs).unref();
}
