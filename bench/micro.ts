/**
 * What single pieces of the hot path take, in microseconds per event: to compare two versions of one on the same machine.
 * A quarter of many batches took no longer, so that others at work on the machine disturb it little. Needs no broker.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import { createKeyedBatcher } from '@waybill/common/batch.ts';
import { AMQP_MAX_EVENTS, MAX_BATCH_BYTES } from '@waybill/common/batch-limits.ts';
import { type CloudEvent, toEvent } from '@waybill/common/event/event.ts';
import {
  BATCH_CONTENT_TYPE,
  decodeForwarded,
  decodeMessage,
  encodeBatch,
  encodeEvent,
} from '@waybill/common/event/event-json.ts';
import { signRequest, verifyRequest } from '@waybill/common/internal-call/http-signature.ts';
import { deriveInternalKeys } from '@waybill/common/internal-call/internal-keys.ts';
import { encodeSpans } from '@waybill/common/telemetry/encode-spans.ts';
import { createLane } from '../packages/dispatcher/src/lane.ts';
import { quantile } from './statistics.ts';
import { toTable } from './table.ts';

/** Of each piece, after which all code is compiled; as many of them in one turn of the event loop. */
const BATCHES = 5_000;
const TURN = 100;
/** The part of the batches that nothing else disturbed, also on a busy machine: each lasts a fraction of a millisecond. */
const QUIET = 0.25;

const events = Array.from({ length: AMQP_MAX_EVENTS }, (_, index) => ping(index));
const encoded = events.map(encodeEvent);
const body = encodeBatch(encoded);
const { call: keys } = deriveInternalKeys(['a secret that only this measurement knows']);
const request = { method: 'POST', path: '/events', body };
const headers = { ...signRequest({ ...request, keys }) };

const resourceOfSpans = { attributes: { 'service.name': 'public-web' } } as unknown as Span['resource'];
const scopeOfSpans = { name: 'waybill' };
const spans = events.map(toSpan);

const batcher = createKeyedBatcher<number, number>({
  ...{ maxItems: AMQP_MAX_EVENTS, maxBytes: MAX_BATCH_BYTES, maxQueued: 10_000, maxInFlight: () => 2 },
  send: async (_key, items) => items,
});
const lane = createLane({
  maxInFlight: 2,
  send: async (replies) => ({ outcomes: replies.map(() => 'delivered' as const), reason: '' }),
  note() {},
});

type Span = Parameters<typeof encodeSpans>[0][number];

/** What each does with a batch. */
const pieces: Record<string, () => unknown> = {
  'codec: encode': () => encodeBatch(events.map(encodeEvent)),
  'codec: decode and check, as a listener': () =>
    decodeMessage({ contentType: BATCH_CONTENT_TYPE, body }, { roundsNumbers: true }),
  'codec: decode, check and encode, as a tier that passes on': () =>
    encodeBatch(decodeForwarded({ contentType: BATCH_CONTENT_TYPE, body })),
  'codec: the same, written anew': () =>
    encodeBatch(decodeMessage({ contentType: BATCH_CONTENT_TYPE, body }).map(encodeEvent)),
  'codec: check alone': () => events.forEach(toEvent),
  'signature: sign': () => signRequest({ ...request, keys }),
  'signature: verify': () => verifyRequest({ ...request, headers, keys }),
  batcher: () => Promise.all(events.map((_, index) => batcher.add('Ping', index, 500))),
  lane: () => Promise.all(encoded.map((reply) => lane.deliver(reply))),
  'span: encode, as the SDK does': () => ProtobufTraceSerializer.serializeRequest(spans),
  'span: encode': () => encodeSpans(spans),
};

const rows: string[][] = [];
for (const [name, run] of Object.entries(pieces)) rows.push([name, (await usPerEvent(run)).toFixed(2)]);
console.log(toTable(['piece', 'µs per event'], rows));

async function usPerEvent(run: () => unknown): Promise<number> {
  const timesMs: number[] = [];
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const startedMs = performance.now();
    await run();
    timesMs.push(performance.now() - startedMs);
    if (batch % TURN === 0) await nextTurn();
  }
  return (quantile(timesMs, QUIET) * 1_000) / events.length;
}

/** As public-web sends it. */
function ping(index: number): CloudEvent {
  return {
    ...{
      specversion: '1.0',
      id: `${index}`,
      source: '/waybill/public-web',
      type: 'PingRequest',
      data: { sentAt: 1 },
    },
    correlationid: `${index}`.padStart(22, 'c'),
    expirytime: '2026-11-28T12:00:00.000Z',
    replyto: 'r'.repeat(280),
  };
}

/** That of public-web when it sends `event`. */
function toSpan({ id, type, source }: CloudEvent): Span {
  const context = { traceId: 'a'.repeat(32), spanId: id.padStart(16, 'b'), traceFlags: 1 };
  return {
    ...{ name: `send ${type}`, kind: 3, spanContext: () => context, parentSpanContext: context },
    ...{
      startTime: [1_795_900_000, 1_000_000],
      endTime: [1_795_900_000, 4_000_000],
      duration: [0, 3_000_000],
    },
    attributes: {
      'messaging.system.name': 'rabbitmq',
      'messaging.operation.name': 'send',
      'messaging.operation.type': 'send',
      'messaging.destination.name': `waybill.events:${type}`,
      'messaging.message.id': id,
      'rabbitmq.destination.routing_key': type,
      'cloudevents.event_id': id,
      'cloudevents.event_type': type,
      'cloudevents.event_source': source,
    },
    ...{ status: { code: 0 }, events: [], links: [], ended: true },
    ...{ resource: resourceOfSpans, instrumentationScope: scopeOfSpans },
    ...{ droppedAttributesCount: 0, droppedEventsCount: 0, droppedLinksCount: 0 },
  };
}
