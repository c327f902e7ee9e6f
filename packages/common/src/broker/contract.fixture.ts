/**
 * What every broker must keep, as tests of the ports alone. A test file describes the broker and runs them:
 *
 *     brokerContract({ name: 'RabbitMQ', connect, inspect: () => inspect });
 *
 * What holds for AMQP alone, frames and bytes, is in `amqp-contract.fixture.ts`.
 */
import { describe } from 'node:test';
import { describeConsuming } from './contract-consuming.fixture.ts';
import { describePartitions } from './contract-partitions.fixture.ts';
import { describePublishing } from './contract-publishing.fixture.ts';
import { describeReconnecting } from './contract-reconnecting.fixture.ts';
import { describeTopology } from './contract-topology.fixture.ts';
import type { Broker, Source } from './ports.ts';
import type { Topology } from './topology.ts';

export type BrokerContract = {
  name: string;
  /** Why it cannot be tested here, or false. */
  skip?: string | false;
  /** Creates the ports of one process, on a line of its own. */
  connect(options: { topology: Topology; confirmTimeoutMs: number }): Promise<Connections>;
  /** Asked for when the tests run. */
  inspect(): Inspect;
};

export type Connections = Broker & {
  faults: Faults;
  /** Closes what is there beside the ports. */
  close?(): Promise<unknown>;
};

/** What a network does to the connections of one process. */
export type Faults = {
  /** Ends all of them; they come back. */
  reset(): void;
  /** The broker's answers, or all that is sent either way, vanish from now on, and nobody is told. */
  silence(what: 'answers' | 'all'): void;
  /** Ends all of them, and none comes back. */
  refuse(): void;
  /** Mends it. Those that were silent end, and come back. */
  restore(): void;
};

/** A look past the ports. */
export type Inspect = {
  /** Takes the first message off its queue; undefined where none is ready. */
  take(from: Source): Promise<Found | undefined>;
  depth(from: Source): Promise<{ ready: number; consumers: number }>;
  deleteQueue(from: Source): Promise<unknown>;
  /** That of events, with every binding. */
  deleteExchange(): Promise<unknown>;
  /** As nobody of ours declares it: it refuses what is beyond `maxLength`. */
  declareQueue(from: Source, options: { maxLength: number }): Promise<unknown>;
};

export type Found = {
  body: Buffer;
  contentType: string;
  headers: Record<string, unknown>;
  messageId?: string | undefined;
  isPersistent: boolean;
};

/** Defines the tests of the contract. */
export function brokerContract(contract: BrokerContract): void {
  describe(`${contract.name} as a broker`, { skip: contract.skip ?? false }, () => {
    // Side by side, because they wait more than they compute; each test has a service of its own. Few of each suite at once, as
    // each declares all that a service has, which a broker on a busy machine takes long for.
    describe('undisturbed by others', { concurrency: 4 }, () => {
      describePublishing(contract);
      describeConsuming(contract);
      describePartitions(contract);
      describeReconnecting(contract);
    });
    describeTopology(contract);
  });
}
