import type { WaitingClient } from './ask.ts';

/**
 * Calls `end` when the client of a wait has gone or this instance stops, since whoever waits for what another instance can give it
 * as well need not keep this one. What it returns is to be called when the wait has ended.
 */
export function onOver(onGone: WaitingClient['onGone'], stopping: AbortSignal, end: () => void): () => void {
  const stop = () => end();
  onGone(end);
  if (stopping.aborted) end();
  stopping.addEventListener('abort', stop);
  return () => stopping.removeEventListener('abort', stop);
}
