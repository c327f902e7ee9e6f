/**
 * What every broker must keep, as tests. A test file names the broker and runs them:
 *
 *     brokerContract({ name: 'RabbitMQ', skip: rabbitmqMissing, url: () => broker.url, createPublisher, createSubscriber });
 *
 * The faults that a network has are made by a TCP proxy in front of the broker; those that only the server can make
 * are optional, and their tests run where it can.
 */
import { describe } from 'node:test';
import type { AmqpClientOptions } from './amqp-connection.ts';
import { describeConsuming } from './contract-consuming.ts';
import { describePublishing } from './contract-publishing.ts';
import { describeReconnecting, describeServerFaults } from './contract-reconnecting.ts';
import { describeTopology } from './contract-topology.ts';
import type { Publisher, Subscriber } from './ports.ts';

export type BrokerContract = {
  name: string;
  /** Why it cannot be tested here, or false. */
  skip?: string | false;
  /** The AMQP URL; asked for when the tests run. */
  url(): string;
  createPublisher(options: AmqpClientOptions & { confirmTimeoutMs?: number }): Promise<Publisher>;
  createSubscriber(options: AmqpClientOptions): Promise<Subscriber>;
  /** Has the server close every connection. */
  closeConnections?(): Promise<unknown>;
};

/** Defines the tests of the contract. */
export function brokerContract(contract: BrokerContract): void {
  describe(`${contract.name} as a broker`, { skip: contract.skip ?? false }, () => {
    // Side by side, because they wait more than they compute; each test has a queue of its own.
    describe('undisturbed by others', { concurrency: true }, () => {
      describePublishing(contract);
      describeConsuming(contract);
      describeReconnecting(contract);
    });
    describeTopology(contract);
    describeServerFaults(contract);
  });
}
