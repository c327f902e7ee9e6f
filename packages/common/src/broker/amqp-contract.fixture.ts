/**
 * What holds for our clients of AMQP on every broker that speaks it: frames and bytes, and what a proxy can do with them.
 * Their virtual host is their own, in which nobody declares the exchange of dead letters.
 */
import { describe } from 'node:test';
import type { AmqpBroker } from './amqp-bench.fixture.ts';
import { describeAmqpConsuming } from './amqp-consuming.fixture.ts';
import { describeAmqpPublishing } from './amqp-publishing.fixture.ts';
import { describeAmqpReconnecting, describeServerFaults } from './amqp-reconnecting.fixture.ts';

/** Defines the tests. */
export function amqpContract(broker: AmqpBroker): void {
  describe(`clients of ${broker.name}`, () => {
    // Side by side, because they wait more than they compute; each test has a queue of its own.
    describe('undisturbed by others', { concurrency: true }, () => {
      describeAmqpPublishing(broker);
      describeAmqpConsuming(broker);
      describeAmqpReconnecting(broker);
    });
    describeServerFaults(broker);
  });
}
