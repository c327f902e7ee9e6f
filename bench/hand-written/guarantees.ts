/** How much the hand-written systems promise, from what a crash may lose to what Waybill promises. */
import type { Options } from 'amqplib';

const QUORUM = { durable: true, arguments: { 'x-queue-type': 'quorum' } };

export type Guarantee = {
  /** Where requests wait for a worker. */
  requests: { queue: string; options: Options.AssertQueue };
  /** Messages survive a restart of the broker, and are acked by who handled them. */
  isDurable: boolean;
  /** Requests and replies are published with confirms, and replies come by a quorum queue. */
  isConfirmed: boolean;
};

/** A crash of anything loses what is under way. */
const transient: Guarantee = {
  requests: { queue: 'bench.transient', options: { durable: false } },
  isDurable: false,
  isConfirmed: false,
};

/** A request that the broker has taken is handled, but whether it has taken it nobody knows; replies may be lost. */
const durable: Guarantee = {
  requests: { queue: 'bench.durable', options: QUORUM },
  isDurable: true,
  isConfirmed: false,
};

/** What was answered was stored on both ways, as with Waybill. */
const confirmed: Guarantee = {
  requests: { queue: 'bench.confirmed', options: QUORUM },
  isDurable: true,
  isConfirmed: true,
};

export const GUARANTEES = { transient, durable, confirmed } as const;

/** The one that the first argument of the program names. */
export function guaranteeOfArgument(): Guarantee {
  return GUARANTEES[process.argv[2] as keyof typeof GUARANTEES];
}
