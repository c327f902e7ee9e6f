import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import type { Attributes, Link, SpanContext } from '@opentelemetry/api';
import { NodeSDK } from '@opentelemetry/sdk-node';
import { type EventSpanOptions, startEventSpan, type TracedEvent } from './tracing.ts';

const OLD = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' };
const REPLAYED = { id: 'e-1', type: 'T', source: '/s', replayof: `00-${OLD.traceId}-${OLD.spanId}-01` };

type Ended = {
  attributes: Attributes;
  links: Link[];
  parentSpanContext?: SpanContext;
  spanContext(): SpanContext;
};

const spans: Ended[] = [];
const sdk = new NodeSDK({
  resourceDetectors: [],
  instrumentations: [],
  metricReaders: [],
  logRecordProcessors: [],
  spanProcessors: [
    { onStart() {}, onEnd: (span) => spans.push(span), forceFlush: async () => {}, shutdown: async () => {} },
  ],
});
before(() => sdk.start());
after(() => sdk.shutdown());
beforeEach(() => {
  spans.length = 0;
});

/** The span of an attempt at `event`. */
function processed(event: TracedEvent): Ended {
  startEventSpan({ name: 'process', kind: 'consumer', event, label: event.type }).end();
  return spans.at(-1) as Ended;
}

test('a replayed event starts a trace, linked to the one in which it failed', () => {
  const span = processed({ ...REPLAYED });
  assert.equal(span.parentSpanContext, undefined);
  assert.notEqual(span.spanContext().traceId, OLD.traceId);
  assert.deepEqual(
    span.links.map(({ context: { traceId, spanId } }) => ({ traceId, spanId })),
    [OLD],
  );
});

test('the next attempt at a replayed event belongs to the same trace, without another link', () => {
  const event: TracedEvent = { ...REPLAYED };
  const first = processed(event).spanContext();
  const second = processed(event);
  assert.equal(event.traceparent, `00-${first.traceId}-${first.spanId}-01`);
  assert.equal(second.spanContext().traceId, first.traceId);
  assert.deepEqual(second.links, []);
});

test('an event that was not replayed is neither linked nor written into, and a malformed link is none', () => {
  const event = { id: 'e-1', type: 'T', source: '/s' };
  assert.deepEqual(processed(event).links, []);
  assert.deepEqual(event, { id: 'e-1', type: 'T', source: '/s' });
  assert.deepEqual(processed({ ...event, replayof: 'nonsense' }).links, []);
});

test('a destination is named as the broker names it, but for a type that names no span', () => {
  const attributesOf = (destination: EventSpanOptions['destination'], label = 'T') => {
    const event = { id: 'e-1', type: 'T', source: '/s' };
    startEventSpan({ name: 'process', kind: 'consumer', event, label, destination }).end();
    return spans.at(-1)?.attributes;
  };
  const destination = { system: 'some', name: 'x:T:q.T', attributes: { 'some.key': 'T' } };
  const named = attributesOf(destination);
  assert.equal(named?.['messaging.system.name'], 'some');
  assert.equal(named?.['messaging.destination.name'], 'x:T:q.T');
  assert.equal(named?.['some.key'], 'T');
  assert.equal(attributesOf(destination, '_OTHER')?.['messaging.destination.name'], 'x:_OTHER:q.T');
  assert.equal(attributesOf(undefined)?.['messaging.destination.name'], undefined);
});
