/**
 * What Waybill asks of a broker: two small ports. `contract.ts` beside this file is the promise as tests, which every
 * implementation must pass.
 */

import type { Binding } from './topology.ts';

/** A message as it is published. Always persistent, confirmed and `mandatory`. */
export type OutgoingMessage = {
  /** `''` is the default exchange, which routes to the queue named by the routing key. */
  exchange: string;
  routingKey: string;
  contentType: string;
  body: Buffer;
  /** Headers of ours only. A client's headers never become AMQP headers: `CC` and `BCC` route. */
  headers?: Record<string, string | number>;
};

/**
 * What became of a message:
 * - `confirmed`: the broker has it, in every queue it was routed to;
 * - `unroutable`: no queue takes it; nothing is enqueued;
 * - `not-accepted`: not in the broker: never written, because the broker is unreachable or blocks publishers, too much is unconfirmed, or
 *   the message has no AMQP form (a name over 255 bytes); or written alone, and refused for what it is;
 * - `unknown`: written, but no confirm came within the confirm timeout, or the broker refused it (a nack proves
 *   nothing: with two queues bound and one full, the other has it), or no queue took it when it was written again after
 *   its channel had died. It may be enqueued.
 */
export type PublishOutcome = 'confirmed' | 'unroutable' | 'not-accepted' | 'unknown';

export type Publisher = {
  /**
   * Publishes one message; never rejects. A message whose channel dies before its confirm is published again on the
   * next one while the confirm timeout lasts, so it may be enqueued more than once. One that makes the broker close
   * the channel is published twice at the most, and takes no other along.
   */
  publish(message: OutgoingMessage): Promise<PublishOutcome>;
  /** Whether a publish now would be written. */
  isAvailable(): boolean;
  /** Whether it has a connection, which may be blocked. */
  isConnected(): boolean;
  /** Declares the topology again, on the present connection: for a queue that was deleted under way. */
  declare(): Promise<void>;
  /** Removes bindings, which need not be there. */
  unbind(bindings: readonly Binding[]): Promise<void>;
  /** Waits for the confirms under way, within `deadlineMs` (default 5 s), then closes the connection. */
  close(deadlineMs?: number): Promise<void>;
};

/** One delivered message. It is either acked once, or delivered again to somebody when its channel closes. */
export type Delivery = {
  body: Buffer;
  contentType: string;
  headers: Record<string, unknown>;
  /** What it was published to last: `''` once it has expired into this queue. */
  exchange: string;
  routingKey: string;
  /** What its publisher named it by, unchanged however often it is delivered. Ours name each message differently. */
  messageId?: string | undefined;
  /** The queue it was consumed from. */
  queue: string;
  /** How often this message was delivered before without being acked, as the broker counts. */
  deliveryCount: number;
  /** Aborts when the channel is gone: an ack can no longer reach the broker, and the message is delivered again. */
  signal: AbortSignal;
  /** Takes the message off its queue. Never throws; on a closed channel it does nothing. */
  ack(): void;
  /** Has it delivered again, counted as a failed delivery. Never throws. For errors nobody foresaw. */
  requeue(): void;
};

export type Subscription = {
  /** Whether deliveries arrive now. */
  isActive(): boolean;
  /** Asks the broker for no more deliveries. Those that are unacked can still be acked. */
  cancel(): Promise<void>;
};

export type Subscriber = {
  /**
   * Consumes `queue`, and again after every reconnect, a deleted queue, or a broker restart, until cancelled.
   *
   * @param prefetch most deliveries unacked at once.
   */
  subscribe(options: { queue: string; prefetch: number; onDelivery(delivery: Delivery): void }): Subscription;
  isConnected(): boolean;
  /** As {@link Publisher}'s, on a connection that is never blocked. */
  declare(): Promise<void>;
  /** Asks for no more deliveries, of any subscription, until `resume`. Those that are unacked can still be acked. */
  pause(): void;
  resume(): void;
  /** Has what is unacked delivered again to somebody, by replacing the connection. */
  giveBack(): void;
  /** Closes the connection; what is unacked is delivered again to somebody. */
  close(): Promise<void>;
};
