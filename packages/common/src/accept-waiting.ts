import type { Server } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** Clients that come without end must not keep a server from stopping. */
const MAX_MS = 500;

/**
 * Takes the connections that the system has made for `server` already, and resolves when no more wait, or after half a
 * second. Closing the port resets those that wait, whatever their clients have sent by then; in a process that had no
 * processor for a while these are many. What comes after the last look, within that turn of the event loop, is reset.
 */
export async function acceptWaiting(server: Server): Promise<void> {
  const deadline = performance.now() + MAX_MS;
  let hasAccepted = true;
  const onConnection = () => {
    hasAccepted = true;
  };
  server.on('connection', onConnection);
  // Node accepts one a turn, and looks for it between this call and the next turn's.
  await nextTurn();
  while (hasAccepted && performance.now() < deadline) {
    hasAccepted = false;
    await nextTurn();
  }
  server.off('connection', onConnection);
}
