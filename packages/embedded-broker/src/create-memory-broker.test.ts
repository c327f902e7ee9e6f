/** The broker in this process keeps the promises that RabbitMQ keeps: the same suite runs on both. */
import { describe } from 'node:test';
import { brokerContract } from '../../common/src/broker/contract.fixture.ts';
import { createMemoryBroker } from './create-memory-broker.ts';

describe('in memory', () => {
  const broker = createMemoryBroker();
  brokerContract({
    name: 'the memory broker',
    connect: async (options) => broker.connect(options),
    inspect: () => broker.inspect,
  });
});
