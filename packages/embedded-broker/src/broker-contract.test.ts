/** The embedded broker keeps the promises that RabbitMQ keeps: the same suite runs on both. */
import { after, before, describe } from 'node:test';
import { createAmqpPublisher } from '@waybill/common/broker/amqp-publisher.ts';
import { createAmqpSubscriber } from '@waybill/common/broker/amqp-subscriber.ts';
import { brokerContract } from '@waybill/common/broker/contract.ts';
import { createEmbeddedBroker, type EmbeddedBroker } from './create-embedded-broker.ts';

describe('embedded', () => {
  let broker: EmbeddedBroker;
  before(async () => {
    broker = await createEmbeddedBroker();
  });
  after(() => broker.close());

  brokerContract({
    name: 'the embedded broker',
    url: () => broker.url,
    createPublisher: createAmqpPublisher,
    createSubscriber: createAmqpSubscriber,
    closeConnections: async () => broker.closeConnections(),
  });
});
