import type { Server } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';

/** A turn of the event loop in which few connections come: one in five, at 100 a second. An idle one takes 0.1 ms. */
const SHORT_TURN_MS = 2;

/**
 * Takes the connections that the system has made for `server` already, and resolves when no more wait, or after `maxMs`, as
 * clients may come without end. Closing the port resets those that wait, whatever their clients have sent by then; in a
 * process that had no processor for a while these are many. What comes after the last look, within that turn of the event
 * loop, is reset; so that turn must be a short one.
 */
export async function acceptWaiting(server: Server, maxMs: number): Promise<void> {
  const untilMs = performance.now() + maxMs;
  let hasAccepted = false;
  const onConnection = () => {
    hasAccepted = true;
  };
  server.on('connection', onConnection);
  // Node accepts one a turn, and looks for it between this call and the next turn's.
  await nextTurn();
  for (let isDone = false; !isDone && performance.now() < untilMs; ) {
    hasAccepted = false;
    const startMs = performance.now();
    await nextTurn();
    isDone = !hasAccepted && performance.now() - startMs <= SHORT_TURN_MS;
  }
  server.off('connection', onConnection);
}
