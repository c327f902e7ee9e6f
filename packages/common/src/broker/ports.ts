/**
 * What Waybill asks of a broker: two small ports, which speak of what is meant and not of how a broker does it.
 * `contract.fixture.ts` beside this file is the promise as tests, which every implementation must pass.
 */

import type { MessagingDestination } from '../telemetry/tracing.ts';
import type { WaitDelayMs } from './topology.ts';
import type { TopologyWatch } from './topology-watch.ts';

/** Where a message goes. */
export type Destination =
  /** To the service that answers events of this type; to one of its partitions, if it takes the type in order (`partitions.ts`). */
  | { type: string; partition?: number | undefined }
  /** To each service that observes events of this type. */
  | { observed: string }
  /** To each service that declares that it answers events of this type: not an event, but what they have to tell each other. */
  | { answerersOf: string }
  /** To the work queue of this service: at once, or when the delay has passed. */
  | { service: string; delayMs?: WaitDelayMs | undefined }
  /** To one of the partitions of this service. */
  | { service: string; partition: number }
  /** To where this service keeps what is suspected of having killed a process. */
  | { isolated: string }
  /** To the process that asked this; it need not be there any more. */
  | { requester: string }
  /** To the dispatchers: now, or in a second, since its public-web does not answer. */
  | { replies: 'now' | 'later' }
  /** Given up; by the key that it was routed by before. */
  | { deadLetters: string };

/** Where a message comes from. */
export type Source =
  | { work: string }
  /** Of all that subscribe to it one alone gets deliveries, in their order, until it is gone. */
  | PartitionSource
  | { isolated: string }
  /** What others tell the services that answer one of the types of this service. It is kept for nobody. */
  | { answerers: string }
  /** Replies to what this process asked. Its queue is made by who consumes it first, and goes when nobody has for a minute. */
  | { requester: string }
  | { replies: true }
  | { deadLetters: true };

/** One of the partitions of a service that takes events in order. */
export type PartitionSource = { partition: number; of: string };

/** A message as it is published. Always persistent, confirmed, and told of when nobody takes it. */
export type OutgoingMessage = {
  to: Destination;
  contentType: string;
  body: Buffer;
  /** Headers of ours only. A client's headers never become headers of a message: a broker may act on them. */
  headers?: Record<string, string | number>;
};

/**
 * What became of a message:
 * - `confirmed`: the broker has it, in every queue it was routed to;
 * - `unroutable`: no queue takes it; nothing is enqueued;
 * - `not-accepted`: not in the broker: never written, because the broker is unreachable or blocks publishers, too much is unconfirmed, or
 *   the message has no form that the broker knows (a name over 255 bytes); or written alone, and refused for what it is;
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
  /**
   * Declares the topology again, on the present connection: for a queue that was deleted under way.
   *
   * @throws AppError `broker-unavailable` without a connection, or when the broker does not answer.
   */
  declare(): Promise<void>;
  /** Has `service` get no more events of `type`, if it did. Throws as {@link declare} does. */
  unbind(binding: { service: string; type: string }): Promise<void>;
  /** Whether a service declares that it takes events of `type`, be its queue there or not. Undefined where nobody knows. */
  isDeclared(type: string): Promise<boolean | undefined>;
  /** What spans say of a destination. */
  describe(to: Destination): MessagingDestination;
  /** Waits for the confirms under way, within `deadlineMs` (default 5 s), then closes the connection. */
  close(deadlineMs?: number): Promise<void>;
};

/** One delivered message. It is either acked once, or delivered again to somebody when its channel closes. */
export type Delivery = {
  body: Buffer;
  contentType: string;
  headers: Record<string, unknown>;
  /** Where it was consumed from; and the name of that queue, as people find it at the broker. */
  from: Source;
  queue: string;
  /** What it was routed by last: the type of its events, or the queue's name once it has been set aside. */
  routingKey: string;
  /** What spans say of the way it came by. */
  destination: MessagingDestination;
  /** What its publisher named it by, unchanged however often it is delivered. Ours name each message differently. */
  messageId?: string | undefined;
  /** How often this message was delivered before without being acked, as the broker counts. */
  deliveryCount: number;
  /** Aborts when the channel is gone, or the subscription to a partition cancelled: an ack can no longer reach the broker, and the message is delivered again. */
  signal: AbortSignal;
  /** Takes the message off its queue. Never throws; on a closed channel it does nothing. */
  ack(): void;
  /** Has it delivered again, counted as a failed delivery. Never throws. For errors nobody foresaw. */
  requeue(): void;
};

export type Subscription = {
  /** Whether deliveries arrive now. */
  isActive(): boolean;
  /**
   * Asks the broker for no more deliveries. Those that are unacked can still be acked; but of a partition they are lost
   * (`signal`), and come again, in their order and counted as failed, to whoever gets its deliveries next.
   */
  cancel(): Promise<void>;
};

export type Subscriber = {
  /**
   * Consumes `from`, and again after every reconnect, a deleted queue, or a broker restart, until cancelled.
   *
   * @param prefetch most deliveries unacked at once.
   */
  subscribe(options: { from: Source; prefetch: number; onDelivery(delivery: Delivery): void }): Subscription;
  isConnected(): boolean;
  /**
   * How many consume the work queue of `service`, or one of its partitions; undefined where there is no such queue.
   *
   * @throws AppError `broker-unavailable` without a connection, or when the broker does not answer.
   */
  consumersOf(service: string, partition?: number): Promise<number | undefined>;
  /** Closes the connection; what is unacked is delivered again to somebody. */
  close(): Promise<void>;
};

/** What a process has of its broker. */
export type Broker = {
  publisher: Publisher;
  subscriber: Subscriber;
  /** Whether what it declares is there, and why it is not connected. */
  watch: Pick<TopologyWatch, 'note' | 'trouble' | 'whyNotConnected'>;
};
