/**
 * Closing in stages (RFC 9112, section 9.6): a connection that is closed while its client still sends is reset, and with
 * the reset the client may lose an answer that it has not read. So our half is closed behind the answer, and what still
 * comes is read and dropped until the client closes its half, for a while.
 */
import type { Socket } from 'node:net';

const LINGER_MS = 5_000;

const closing = new WeakSet<Socket>();

/** Has `socket` closed in stages when Node's HTTP server is done with it. */
export function closeInStages(socket: Socket): void {
  closing.add(socket);
  socket.destroySoon = () => endInStages(socket);
}

/** Whether what comes on `socket` now stands behind its last answer, and must not be processed. */
export function isClosing(socket: Socket): boolean {
  return closing.has(socket);
}

/** Ends `socket` behind `text`, in stages. No request is taken from it any more (RFC 9112, section 9.6). */
export function endInStages(socket: Socket, text?: string): void {
  dropInput(socket);
  if (text === undefined) socket.end();
  else socket.end(text);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  timer.unref();
  socket.once('close', () => clearTimeout(timer));
}

/** What comes on `socket` from now on is dropped instead of parsed. */
export function dropInput(socket: Socket): void {
  socket.removeAllListeners('data');
  socket.on('data', () => {});
  socket.resume();
}
