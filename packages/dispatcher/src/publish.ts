/**
 * Events on their way to the broker: one message per type, partition and batch, and what the broker said about it is the outcome
 * of each event in it.
 */
import { context } from '@opentelemetry/api';
import { createKeyedBatcher } from '@waybill/common/batch.ts';
import {
  AMQP_MAX_EVENTS,
  MAX_BATCH_BYTES,
  MAX_BATCHES_IN_FLIGHT,
  MAX_PARTIAL_BATCHES_IN_FLIGHT,
} from '@waybill/common/batch-limits.ts';
import { type TypeDestination, withPartitions } from '@waybill/common/broker/partitions.ts';
import type { Publisher, PublishOutcome } from '@waybill/common/broker/ports.ts';
import type { PublishObserved } from '@waybill/common/broker/publish-observed.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { type EncodedEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import { batchSize, eventDuration, events } from '@waybill/common/telemetry/metrics.ts';
import { setBatchSize, startEventSpan } from '@waybill/common/telemetry/tracing.ts';
import type { Logger } from 'pino';
import type { LostTypes } from './lost-types.ts';
import { retraced } from './retraced.ts';

/** Bound of what waits, per type. */
const MAX_QUEUED = 10_000;
/** Longest wait for a turn; then the queue of the type is stuck, and the event is provably not in the broker. */
const MAX_WAIT_MS = 1_000;

/** Publishes one event with whatever else of its type is there. Never rejects. */
export type PublishEvent = (event: EncodedEvent) => Promise<PublishOutcome>;

/** What became of a message, and how many events it held. */
type Published = { outcome: PublishOutcome; batchSize: number };

const NOTHING_KNOWN: Published = { outcome: 'unknown', batchSize: 0 };

/** A batch is of one destination. No type has a `:`. */
const keyOf = ({ type, partition }: TypeDestination): string =>
  partition === undefined ? type : `${type}:${partition}`;
const typeOf = (key: string): string => key.split(':', 1)[0] as string;
const toDestination = (key: string): TypeDestination => {
  const [type = '', partition] = key.split(':');
  return partition === undefined ? { type } : { type, partition: Number(partition) };
};

/** Creates {@link PublishEvent} on `publisher`; `maxByType` lowers the events per message for some types. */
export function createPublishEvent({
  publishObserved,
  lostTypes,
  maxByType,
  log,
  ...options
}: {
  publisher: Publisher;
  publishObserved: PublishObserved;
  lostTypes: LostTypes;
  maxByType: ReadonlyMap<string, number>;
  log: Logger;
}): PublishEvent {
  const publisher = withPartitions(options.publisher);
  const batcher = createKeyedBatcher<EncodedEvent, Published>({
    maxItems: AMQP_MAX_EVENTS,
    maxItemsFor: (key) => maxByType.get(typeOf(key)),
    maxBytes: MAX_BATCH_BYTES,
    maxInFlight: () => MAX_BATCHES_IN_FLIGHT,
    maxPartialInFlight: () => MAX_PARTIAL_BATCHES_IN_FLIGHT,
    maxQueued: MAX_QUEUED,
    maxWaitMs: MAX_WAIT_MS,
    async send(key, batch) {
      batchSize.record(batch.length, { hop: 'broker' });
      const message = encodeMessage(batch);
      const to = toDestination(key);
      void publishObserved(to.type, message);
      const outcome = await lostTypes.judge(to.type, await publisher.publish({ to, ...message }));
      const published = { outcome, batchSize: batch.length };
      return batch.map(() => published);
    },
  });

  /** What the batcher refuses was not published; of anything else nobody knows. */
  function toFailed(thrown: unknown, event: CloudEvent): Published {
    const { code } = toPublicError(thrown, log, { event_id: event.id });
    return code === 'not-accepted' ? { outcome: code, batchSize: 0 } : NOTHING_KNOWN;
  }

  return async (forwarded) => {
    const startedMs = performance.now();
    const { event } = forwarded;
    const to = publisher.destinationOf(event);
    const span = startEventSpan({
      name: 'route',
      kind: 'producer',
      event,
      label: event.type,
      destination: publisher.describe(to),
    });
    const encoded = retraced(forwarded, span);
    let published: Published;
    try {
      published = await batcher.add(keyOf(to), encoded, encoded.bytes);
    } catch (thrown) {
      published = toFailed(thrown, event);
    }
    const { outcome, batchSize: size } = published;
    if (size > 0) setBatchSize(span, size);
    if (log.isLevelEnabled('debug'))
      context.with(span.context, () =>
        log.debug({ event_id: event.id, event_type: event.type, outcome }, 'event published'),
      );
    span.end(outcome === 'confirmed' ? undefined : { code: outcome });
    account(event, outcome, performance.now() - startedMs);
    return outcome;
  };
}

/** Only a type that somebody takes is a label: the others a client chose. */
function account({ type }: CloudEvent, outcome: PublishOutcome, durationMs: number): void {
  const attributes = { tier: 'dispatcher', type: outcome === 'confirmed' ? type : '_OTHER', outcome };
  events.add(1, attributes);
  eventDuration.record(durationMs / 1000, attributes);
}
