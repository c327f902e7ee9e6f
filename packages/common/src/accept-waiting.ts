import type { Server } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Takes the connections that the system has made for `server` already, and resolves when no more wait, or after `maxMs`, as
 * clients may come without end. Closing the port resets those that wait, whatever their clients have sent by then; in a
 * process that had no processor for a while these are many. What comes after the last look, within that turn of the event
 * loop, is reset.
 */
export async function acceptWaiting(server: Server, maxMs: number): Promise<void> {
  const deadline = performance.now() + maxMs;
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
