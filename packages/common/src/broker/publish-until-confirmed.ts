import { setTimeout as delay } from 'node:timers/promises';
import { AppError } from '../errors.ts';
import type { OutgoingMessage, Publisher } from './ports.ts';

const BASE_DELAY_MS = 50;
const MAX_DELAY_MS = 2_000;

/**
 * Publishes a message that must arrive (a retry, a reply, a dead letter) again and again, with full jitter, until the
 * broker confirms it. It may then be enqueued more than once. When a queue of ours is missing it is declared anew.
 *
 * @param signal ends the attempts: usually that of the delivery that will be acked afterwards, because once its
 * channel is gone somebody else gets it.
 * @throws AppError `broker-unavailable` when the signal aborts first.
 */
export async function publishUntilConfirmed(
  publisher: Publisher,
  message: OutgoingMessage,
  signal: AbortSignal,
): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    const outcome = await publisher.publish(message);
    if (outcome === 'confirmed') return;
    if (signal.aborted)
      throw new AppError('broker-unavailable', `not confirmed before the delivery was lost`);
    if (outcome === 'unroutable') await publisher.declare().catch(() => {});
    const capMs = Math.min(MAX_DELAY_MS, BASE_DELAY_MS * 2 ** Math.min(attempt, 10));
    await delay(Math.random() * capMs, undefined, { signal }).catch(() => {});
  }
}
