import type { Server } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** A look that ends a turn of the event loop no longer than this is still true at its end. */
const SHORT_TURN_MS = 2;

/**
 * Takes the connections that the system has made for `server` already, and resolves when no more wait, or after `maxMs`, as
 * clients may come without end. Closing the port resets those that wait, whatever their clients have sent by then; in a
 * process that had no processor for a while these are many. What comes after the last look, within that turn of the event
 * loop, is reset; so that turn must be a short one.
 */
export async function acceptWaiting(server: Server, maxMs: number): Promise<void> {
  const untilMs = performance.now() + maxMs;
  let hasAccepted: boolean;
  const onConnection = () => {
    hasAccepted = true;
  };
  server.on('connection', onConnection);
  // Node accepts one a turn, and looks for it between this call and the next turn's.
  await nextTurn();
  for (let nowMs = performance.now(), turnMs = Number.POSITIVE_INFINITY; nowMs < untilMs; nowMs += turnMs) {
    hasAccepted = false;
    await nextTurn();
    turnMs = performance.now() - nowMs;
    if (!hasAccepted && turnMs <= SHORT_TURN_MS) break;
  }
  server.off('connection', onConnection);
}
