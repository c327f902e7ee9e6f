/**
 * What a process has of its broker: a connection to publish by, and one to consume by. Neither is of use alone: an event
 * that was taken cannot be answered without the other, nor one that was sent. So nothing is consumed while there is
 * nothing to publish by, and whoever takes events from elsewhere asks for both.
 */
import type { AmqpClientOptions } from './amqp-connection.ts';
import { createAmqpPublisher } from './amqp-publisher.ts';
import { createAmqpSubscriber } from './amqp-subscriber.ts';
import type { Publisher, Subscriber } from './ports.ts';

/**
 * How long deliveries are held for a publisher that has gone. One that comes back does so sooner: reconnecting waits 3 s
 * at most, and then declares.
 */
const HOLD_MS = 5_000;

export type AmqpClient = { publisher: Publisher; subscriber: Subscriber };

/** Creates both, which start connecting. */
export async function createAmqpClient(options: AmqpClientOptions): Promise<AmqpClient> {
  const subscriber = await createAmqpSubscriber(options);
  subscriber.pause();
  let timer: NodeJS.Timeout | undefined;
  const publisher = await createAmqpPublisher({
    ...options,
    onConnect() {
      clearTimeout(timer);
      subscriber.resume();
    },
    onDisconnect() {
      subscriber.pause();
      clearTimeout(timer);
      timer = setTimeout(subscriber.giveBack, HOLD_MS).unref();
    },
  });
  return { publisher, subscriber };
}
