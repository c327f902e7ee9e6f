import type { Channel } from './channel.ts';

/** Publisher confirms of one channel (https://www.rabbitmq.com/docs/confirms#publisher-confirms). */
export type Confirms = {
  select(): void;
  /** Tells of the next message in the order of publishing. Acks wait for {@link flush}; a nack goes at once. */
  settle(isAccepted: boolean): void;
  /** Sends one ack for all that were accepted since the last. */
  flush(): void;
};

export function createConfirms(send: Channel['send']): Confirms {
  let isSelected = false;
  let lastPublished = 0;
  let unsentAcks = 0;

  function flush(): void {
    if (unsentAcks === 0) return;
    send('basic.ack', { deliveryTag: lastPublished, multiple: unsentAcks > 1 });
    unsentAcks = 0;
  }

  return {
    select() {
      isSelected = true;
    },
    settle(isAccepted) {
      if (!isSelected) return;
      if (!isAccepted) flush();
      lastPublished += 1;
      if (isAccepted) unsentAcks += 1;
      else send('basic.nack', { deliveryTag: lastPublished, multiple: false, requeue: false });
    },
    flush,
  };
}
