import type { Delivery, Source, Subscriber } from '@waybill/common/broker/ports.ts';

/**
 * Takes messages one by one: the next comes when `onDelivery` asks for it, and never before, whatever is
 * acked. So the broker's count of crashes weighs on nothing but what was started.
 */
export function takeSuspects({
  subscriber,
  from,
  onDelivery,
}: {
  subscriber: Pick<Subscriber, 'subscribe'>;
  from: Source;
  /** Not to ack before `cancelled`. May call `takeNext` more than once. */
  onDelivery(delivery: Delivery, one: { cancelled: Promise<void>; takeNext(): void }): void;
}): { cancel(): Promise<void> } {
  let isCancelled = false;
  let subscription = take();

  function take() {
    const taking = subscriber.subscribe({
      from,
      prefetch: 1,
      onDelivery(delivery) {
        onDelivery(delivery, { cancelled: taking.cancel(), takeNext });
      },
    });
    function takeNext(): void {
      if (isCancelled || subscription !== taking) return;
      subscription = take();
    }
    return taking;
  }

  return {
    cancel() {
      isCancelled = true;
      return subscription.cancel();
    },
  };
}
