import { createAmqpPublisher } from './amqp-publisher.ts';
import { createAmqpSubscriber } from './amqp-subscriber.ts';
import type { BrokerContract } from './contract.ts';

/** RabbitMQ, as the contract and its bench want it described. */
export function rabbitmqAt(url: () => string): BrokerContract {
  return {
    name: 'RabbitMQ',
    url,
    createPublisher: createAmqpPublisher,
    createSubscriber: createAmqpSubscriber,
  };
}
