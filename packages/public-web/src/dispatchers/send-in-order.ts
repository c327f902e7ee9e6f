import { keyOf } from '@waybill/common/broker/partitions.ts';
import { AppError } from '@waybill/common/errors.ts';
import { expiryMs } from '@waybill/common/event/event.ts';
import type { DispatcherClient } from './dispatcher-client.ts';

/**
 * As `dispatchers`, but an event with a `partitionkey` is sent when it is known what became of the one before it with the same
 * key: two that are on their way together, perhaps by two dispatchers, would reach the broker in any order. Those
 * without a key, and of other keys, do not wait.
 */
export function sendInOrder({ send }: Pick<DispatcherClient, 'send'>): Pick<DispatcherClient, 'send'> {
  /** The last event of each key of which nothing is known yet. */
  const lasts = new Map<string, Promise<unknown>>();

  return {
    send(event, isCancelled) {
      const key = keyOf(event.partitionkey);
      if (key === undefined) return send(event, isCancelled);
      const before = lasts.get(key);
      const sent = before ? before.then(sendInTime) : send(event, isCancelled);
      lasts.set(key, sent);
      // `send` never rejects.
      void sent.then(() => {
        if (lasts.get(key) === sent) lasts.delete(key);
      });
      return sent;

      function sendInTime(): ReturnType<typeof send> {
        if (Date.now() < expiryMs(event)) return send(event, isCancelled);
        return Promise.resolve(new AppError('not-accepted', 'the deadline passed before the event was sent'));
      }
    },
  };
}
