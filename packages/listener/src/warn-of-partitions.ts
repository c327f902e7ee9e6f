import { setTimeout as delay } from 'node:timers/promises';
import type { Subscriber } from '@waybill/common/broker/ports.ts';
import type { Logger } from 'pino';

/** The broker may start later than we do. */
const AGAIN_MS = 1_000;

/**
 * Logs, once after the start, that a service without an ordered handler has partitions, from when it had: events with a key go on to
 * them, and nobody takes them there.
 *
 * @param options.signal ends the attempts to look.
 */
export function warnOfPartitions({
  service,
  subscriber,
  signal,
  log,
}: {
  service: string;
  subscriber: Pick<Subscriber, 'consumersOf'>;
  signal: AbortSignal;
  log: Logger;
}): void {
  async function look(): Promise<void> {
    const count = await subscriber.consumersOf(service, 0).catch(() => null);
    if (count === undefined || signal.aborted) return;
    if (count === null) {
      await delay(AGAIN_MS, undefined, { ref: false });
      return look();
    }
    // An instance of before may still take them.
    log.warn(
      { queue: `waybill.${service}.p0`, consumers: count },
      'this service takes no events in order any more, and has partitions: end them by retire-service --partitions',
    );
  }
  void look();
}
