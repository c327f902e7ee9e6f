/**
 * What a process has of its broker: a connection to publish by, and one to consume by. Neither is of use alone: an event
 * that was taken cannot be answered without the other, nor one that was sent. So nothing is consumed while there is
 * nothing to publish by, and a service that takes events from elsewhere asks for both.
 */
import { AppError } from '../errors.ts';
import type { AmqpClientOptions } from './amqp-connection.ts';
import { type AmqpPublisherOptions, createAmqpPublisher } from './amqp-publisher.ts';
import { type AmqpSubscriber, createAmqpSubscriber } from './amqp-subscriber.ts';
import { amqpTopology } from './amqp-topology.ts';
import type { Broker } from './ports.ts';
import type { Topology } from './topology.ts';
import { createTopologyWatch, KEEP_INTERVAL_MS, type TopologyWatch } from './topology-watch.ts';

/**
 * How long deliveries are held for a publisher that has gone. One that comes back does so sooner: reconnecting waits 3 s
 * at most, and then declares.
 */
const HOLD_MS = 5_000;

export type BrokerOptions = Omit<AmqpClientOptions, 'topology' | 'watch'> &
  Pick<AmqpPublisherOptions, 'confirmTimeoutMs'> & { topology: Topology };

/**
 * Creates both ports on AMQP, which start connecting, and declares their topology anew every 2 s: a binding that somebody has
 * deleted is missed by nobody else.
 */
export async function createBroker({ topology, ...clientOptions }: BrokerOptions): Promise<Broker> {
  const watch = createTopologyWatch({ log: clientOptions.log });
  const options = { ...clientOptions, topology: amqpTopology(topology), watch };
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
  const keeping = setInterval(() => void keepTopology(subscriber, watch), KEEP_INTERVAL_MS).unref();
  const close = () => {
    clearInterval(keeping);
    return subscriber.close();
  };
  return { publisher, subscriber: { ...subscriber, close }, watch };
}

/** The subscriber's connection is never blocked. What the broker refuses is told by the watch itself. */
async function keepTopology(subscriber: AmqpSubscriber, watch: TopologyWatch): Promise<void> {
  try {
    await subscriber.declare();
  } catch (error) {
    if (error instanceof AppError && subscriber.isConnected()) watch.note(error.message);
  }
}
