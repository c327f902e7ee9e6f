import { backOff } from '../back-off.ts';
import { AppError } from '../errors.ts';
import type { OutgoingMessage, Publisher } from './ports.ts';

const BASE_DELAY_MS = 50;
const MAX_DELAY_MS = 2_000;

/**
 * Publishes a message that must arrive (a retry, a reply, a dead letter) again and again, with full jitter, until the
 * broker confirms it. It may then be enqueued more than once. When no queue takes it ours are declared anew.
 *
 * @param signal ends the attempts: usually that of the delivery that will be acked afterwards, because once its
 * channel is gone somebody else gets it.
 * @throws AppError `broker-unavailable` when the signal aborts first; `unroutable` when no queue takes
 * the message although all of ours are there.
 */
export async function publishUntilConfirmed(
  publisher: Publisher,
  message: OutgoingMessage,
  signal: AbortSignal,
): Promise<void> {
  let isDeclared = false;
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await publisher.publish(message);
    if (outcome === 'confirmed') return;
    if (signal.aborted)
      throw new AppError('broker-unavailable', `not confirmed before the delivery was lost`);
    if (outcome === 'unroutable') {
      if (isDeclared)
        throw new AppError('unroutable', `no queue takes ${publisher.describe(message.to).name}`);
      isDeclared = await publisher.declare().then(
        () => true,
        () => false,
      );
    }
    await backOff(attempt, { baseMs: BASE_DELAY_MS, capMs: MAX_DELAY_MS, signal });
  }
}
