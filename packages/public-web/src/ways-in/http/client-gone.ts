import type { FastifyReply } from 'fastify';
import type { WaitingClient } from '../../core/ask.ts';
import { isAwaitedByOthers } from './idempotency-hooks.ts';

/**
 * Tells when the connection closes before the answer is out; never when others may ask for that answer.
 *
 * @param onClosed called when the answer is out or given up: nothing holds it any more.
 */
export function clientGone(reply: FastifyReply, onClosed?: () => void): WaitingClient['onGone'] {
  const { raw, request } = reply;
  const isPatient = isAwaitedByOthers(request);
  const waiting: (() => void)[] = [];
  // It may have gone while the body was read; then there is no event any more.
  if (raw.closed) onClosed?.();
  raw.on('close', () => {
    onClosed?.();
    if (!raw.writableFinished && !isPatient) for (const giveUp of waiting) giveUp();
  });
  return (giveUp) => {
    if (raw.destroyed && !isPatient) giveUp();
    else waiting.push(giveUp);
  };
}
