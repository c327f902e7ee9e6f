/** A call has one deadline, however many steps it takes. */
import type { CallOptions } from './methods.ts';

/** Returns what a step that begins at the time may have of `options`: the deadline without what has passed since now; 0 once it has. */
export function timeLeft(options: CallOptions): () => CallOptions {
  const endsMs = performance.now() + options.deadlineMs;
  return () => ({ ...options, deadlineMs: Math.max(0, endsMs - performance.now()) });
}
