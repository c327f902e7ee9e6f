/** The embedded broker keeps the promises that RabbitMQ keeps: the same suites run on both. */
import { after, before, describe } from 'node:test';
import { amqpBroker } from '../../common/src/broker/amqp.fixture.ts';
import { amqpContract } from '../../common/src/broker/amqp-contract.fixture.ts';
import { brokerContract } from '../../common/src/broker/contract.fixture.ts';
import { createEmbeddedBroker, type EmbeddedBroker } from './create-embedded-broker.ts';

for (const [suite, define] of [
  ['the ports', (broker: Parameters<typeof amqpBroker>[0]) => brokerContract(amqpBroker(broker))],
  ['AMQP', amqpContract],
] as const)
  describe(`embedded, by ${suite}`, () => {
    let broker: EmbeddedBroker;
    before(async () => {
      broker = await createEmbeddedBroker();
    });
    after(() => broker.close());

    define({
      name: 'the embedded broker',
      url: () => broker.url,
      closeConnections: async () => broker.closeConnections(),
    });
  });
