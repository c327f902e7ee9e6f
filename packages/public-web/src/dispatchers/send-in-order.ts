import { keyOf } from '@waybill/common/broker/partitions.ts';
import { AppError } from '@waybill/common/errors.ts';
import { expiryMs } from '@waybill/common/event/event.ts';
import type { DispatcherClient, Series } from './dispatcher-client.ts';

/**
 * As `dispatchers`, but an event with a `partitionkey` is sent when it is known what became of the one before it of the same
 * series and key, whatever their types: two that are on their way together, perhaps by two dispatchers, would reach the broker in
 * any order. Those without a key, of other keys, and of other series, do not wait, so nobody holds up another's events.
 */
export function sendInOrder({ send }: Pick<DispatcherClient, 'send'>): Pick<DispatcherClient, 'send'> {
  /** By series, the last event of each key of which nothing is known yet. */
  const underWay = new Map<Series, Map<string, Promise<unknown>>>();

  return {
    send(event, isCancelled, series) {
      const key = keyOf(event.partitionkey);
      if (key === undefined || series === undefined) return send(event, isCancelled);
      const lasts = underWay.get(series) ?? new Map<string, Promise<unknown>>();
      underWay.set(series, lasts);
      const before = lasts.get(key);
      const sent = before ? before.then(sendInTime) : send(event, isCancelled);
      lasts.set(key, sent);
      // `send` never rejects.
      void sent.then(() => {
        if (lasts.get(key) !== sent) return;
        lasts.delete(key);
        if (lasts.size === 0) underWay.delete(series);
      });
      return sent;

      function sendInTime(): ReturnType<typeof send> {
        if (Date.now() < expiryMs(event)) return send(event, isCancelled);
        return Promise.resolve(new AppError('not-accepted', 'the deadline passed before the event was sent'));
      }
    },
  };
}
