import { backOff } from '../back-off.ts';
import { AppError } from '../errors.ts';
import type { OutgoingMessage, Publisher } from './ports.ts';

const BASE_DELAY_MS = 50;
const MAX_DELAY_MS = 2_000;
/** The service that declares a queue looks every 2 s whether it is gone (ADR 8), and may be connecting again before it does. */
const MAX_HEAL_MS = 10_000;

/**
 * Publishes a message that must arrive (a retry, a reply, a dead letter) again and again, with full jitter, until the
 * broker confirms it. It may then be enqueued more than once. When no queue takes it ours are declared anew, and one of
 * another service that declares that it takes the type is waited for.
 *
 * @param options.isMandatory whether somebody has to take it (the default). If not, it is done also when no service declares that
 *   it takes its type.
 * @param signal ends the attempts: usually that of the delivery that will be acked afterwards, because once its
 * channel is gone somebody else gets it.
 * @throws AppError `broker-unavailable` when the signal aborts first, or the queue of that other service is not there
 * within 10 s; `unroutable` when no queue takes the message although all of ours are there.
 */
export async function publishUntilConfirmed(
  publisher: Publisher,
  message: OutgoingMessage,
  signal: AbortSignal,
  { isMandatory = true }: { isMandatory?: boolean } = {},
): Promise<void> {
  const healedMs = performance.now() + MAX_HEAL_MS;
  let isDeclared = false;
  for (let attempt = 1; ; attempt += 1) {
    const outcome = await publisher.publish(message);
    if (outcome === 'confirmed') return;
    if (signal.aborted)
      throw new AppError('broker-unavailable', `not confirmed before the delivery was lost`);
    if (outcome === 'unroutable') {
      if (!isMandatory && (await isTakenByNobody(publisher, message))) return;
      if (isDeclared) await assertTaken(publisher, message, healedMs);
      else
        isDeclared = await publisher.declare().then(
          () => true,
          () => false,
        );
    }
    await backOff(attempt, { baseMs: BASE_DELAY_MS, capMs: MAX_DELAY_MS, signal });
  }
}

async function isTakenByNobody(publisher: Publisher, { to }: OutgoingMessage): Promise<boolean> {
  // The queue of a process that asked is there for as long as it waits.
  return 'requester' in to || ('type' in to && (await publisher.isDeclared(to.type)) === false);
}

/** Returns when somebody declares that it takes the message, whose queue may yet come. */
async function assertTaken(publisher: Publisher, { to }: OutgoingMessage, healedMs: number): Promise<void> {
  const { name } = publisher.describe(to);
  if (!('type' in to) || !(await publisher.isDeclared(to.type)))
    throw new AppError('unroutable', `no queue takes ${name}`);
  if (performance.now() >= healedMs)
    throw new AppError('broker-unavailable', `the queue of the service that takes ${name} is not there`);
}
