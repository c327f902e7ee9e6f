/** What was in hand when processes died, of the events that are taken in order (`consume-in-order.ts`): one at a time. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Delivery } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import pLimit from 'p-limit';
import type { Logger } from 'pino';
import { originalsOf } from './delivered-event.ts';
import type { GiveUp } from './give-up.ts';
import { ACK_ARRIVES_MS } from './isolation.ts';

/**
 * More than stops and lost connections, which are counted as well, come to in a row. By then there have been 8 lives with turns, each
 * beginning with one of two partitions as likely as with the other: 1 in 256 innocent ones of another partition had none yet.
 */
const MAX_CRASHES = 10;

/**
 * Runs an event of a message that was in hand when processes died, or gives it up. Its turn is all of its attempts, with the pauses
 * between them: one that waits for its next attempt would be in hand again when the guilty one has its turn, at each death, and be
 * given up for it.
 */
export type Suspects = (
  delivery: Delivery,
  crashes: number,
  index: number,
  run: () => Promise<void>,
) => Promise<void>;

/** Creates the {@link Suspects} of one process. */
export function createSuspects({ giveUp, log }: { giveUp: GiveUp; log: Logger }): Suspects {
  const one = pLimit(1);
  let guilty: Delivery | undefined;

  async function runOrGiveUp(...[delivery, crashes, index, run]: Parameters<Suspects>): Promise<void> {
    if (crashes >= MAX_CRASHES) guilty ??= delivery;
    if (guilty !== delivery) return run();
    const event = originalsOf(delivery)[index] as CloudEvent;
    log.warn({ event_id: event.id, crashes }, 'event given up after repeated crashes');
    const message = `${crashes} processes died, or lost their connection, while they held this event`;
    const error = { code: 'listener-crashed', message };
    await giveUp(event, delivery, { reason: 'listener-crashed', error });
  }

  return (...suspect) =>
    new Promise((resolve, reject) => {
      void one(async () => {
        await runOrGiveUp(...suspect).then(resolve, reject);
        // It must not come again if the next one kills the process.
        await delay(ACK_ARRIVES_MS);
      });
    });
}
