/**
 * Spans of single events. Events travel in batches, and each keeps a trace of its own: its parent is read from the
 * event, and the span made here is written into the event that travels on.
 *
 * Names and attributes follow OpenTelemetry's messaging and CloudEvents conventions 1.45. They are not declared
 * stable, so the names are spelled out here, as `@opentelemetry/semantic-conventions` recommends.
 */
import {
  type Attributes,
  type Context,
  context,
  defaultTextMapGetter,
  defaultTextMapSetter,
  INVALID_SPAN_CONTEXT,
  type Link,
  ProxyTracerProvider,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { suppressTracing, W3CTraceContextPropagator } from '@opentelemetry/core';
import { failedSpan } from './failed-spans.ts';

/** What a span needs to know of an event. */
export type TracedEvent = {
  id: string;
  type: string;
  source: string;
  traceparent?: string;
  tracestate?: string;
  /** The span that a replayed event was sent by before. */
  replayof?: string;
};

/** What a span says of where a message goes, or came from. The broker's own files know. */
export type MessagingDestination = {
  /** `messaging.system.name`. */
  system: string;
  /** `messaging.destination.name`: its parts, joined by colons. */
  name: string;
  /** What only this system has, by the names of its conventions. */
  attributes: Attributes;
};

export type EventSpanOptions = {
  /** The step of the event's way (docs/architecture.md, One event, one trace). */
  name: 'send' | 'route' | 'process' | 'deliver';
  kind: keyof typeof KINDS;
  event: TracedEvent;
  /** Names the span: the event's type, or `_OTHER` where nobody handles it (a client chose it). */
  label: string;
  /** Where the message goes or came from. */
  destination?: MessagingDestination | undefined;
  /** How many events share the message, once that is known ({@link setBatchSize}). */
  batchSize?: number;
  /** `event` (default): the event's own `traceparent`, without which a trace starts. `active`: the active span. */
  parent?: 'event' | 'active';
};

export type EventSpan = {
  span: Span;
  /** For `context.with(…)`: log lines and requests made inside belong to this span. */
  context: Context;
  /** What the event that travels on carries. Undefined when nothing is traced: then leave the event's own. */
  traceparent?: string;
  tracestate?: string;
  /** Ends the span; `code` becomes its `error.type`, and has it exported even if it was not sampled. */
  end(error?: { code: string; message?: string }): void;
};

/**
 * Starts the span of one event in one tier. Costs next to nothing when no SDK is registered.
 *
 * A replayed event comes without a trace: its first span starts one, linked to the old one, and is written into the
 * event given, so that its retries and its dead letter belong to the new trace as well.
 *
 * @example
 * const sending = startEventSpan({ name: 'send', kind: 'producer', event, label: event.type, parent: 'active' });
 * if (sending.traceparent) Object.assign(event, { traceparent: sending.traceparent, tracestate: sending.tracestate });
 * sending.end();
 */
export function startEventSpan(options: EventSpanOptions): EventSpan {
  tracer ??= findTracer();
  return tracer === undefined ? UNTRACED : startSpan(tracer, options);
}

/** Whether {@link startEventSpan} makes spans: where it does not, nothing need be prepared for it. */
export function isTraced(): boolean {
  tracer ??= findTracer();
  return tracer !== undefined;
}

function startSpan(tracer: Tracer, options: EventSpanOptions): EventSpan {
  const { name, kind, event, label, parent = 'event' } = options;
  // From the root and not from what is active: that is of whoever has sent the batch.
  const parentContext =
    parent === 'active' ? context.active() : w3c.extract(ROOT_CONTEXT, event, defaultTextMapGetter);
  const spanOptions = { kind: KINDS[kind].kind, links: replayLinks(event) };
  const start = {
    tracer,
    name: `${name} ${label}`,
    options: spanOptions,
    parent: parentContext,
    startedMs: Date.now(),
  };
  const span = tracer.startSpan(start.name, start.options, parentContext);
  if (span.isRecording()) describeSpan(span, messagingAttributes(options));
  const spanContext = trace.setSpan(parentContext, span);
  const carrier: { traceparent?: string; tracestate?: string } = {};
  w3c.inject(spanContext, carrier, defaultTextMapSetter);
  if (event.replayof !== undefined) event.traceparent ??= carrier.traceparent;
  return { span, context: spanContext, ...carrier, end };

  function end(error?: { code: string; message?: string }): void {
    const describe = (failed: Span) => describeSpan(failed, messagingAttributes(options));
    endSpan(error === undefined ? span : failedSpan(span, start, describe), error);
  }
}

/**
 * Gives a span that was just started its first attributes: texts and numbers, and what is undefined is left out. They are written
 * where the SDK keeps them, because its own way looks at each value twice, with a WeakSet made for each look: a span took 18.5 µs
 * that takes 13 so, its export included. No limits of attributes (`OTEL_SPAN_ATTRIBUTE_…`) hold for them.
 */
export function describeSpan(span: Span, attributes: Attributes): void {
  const { attributes: kept } = span as { attributes?: Attributes };
  if (!kept) return void span.setAttributes(attributes);
  for (const name in attributes) if (attributes[name] !== undefined) kept[name] = attributes[name];
}

/** Says on the span of an event how many share its message, this one included. */
export function setBatchSize({ span }: EventSpan, batchSize: number): void {
  span.setAttribute(BATCH_SIZE, batchSize);
}

/** Runs `fn` so that nothing in it makes spans or sends a `traceparent`: for calls that carry many events at once. */
export function untraced<T>(fn: () => T): T {
  return context.with(SUPPRESSED, fn);
}

const SUPPRESSED = suppressTracing(ROOT_CONTEXT);

/** Runs `fn` outside of the active span: what it starts begins a trace, as each event of a long stream does. */
export function inOwnTrace<T>(fn: () => T): T {
  return context.with(ROOT_CONTEXT, fn);
}

/** What neither sends nor processes has no `messaging.operation.type`. */
const KINDS = {
  producer: { kind: SpanKind.PRODUCER, operationType: 'send' },
  consumer: { kind: SpanKind.CONSUMER, operationType: 'process' },
  internal: { kind: SpanKind.INTERNAL, operationType: undefined },
} as const;

const UNTRACED: EventSpan = Object.freeze({
  span: trace.wrapSpanContext(INVALID_SPAN_CONTEXT),
  context: ROOT_CONTEXT,
  end() {},
});

const BATCH_SIZE = 'waybill.batch.size';

const w3c = new W3CTraceContextPropagator();
let tracer: Tracer | undefined;

/** The SDK's tracer; undefined without one, where the API would hand out no-op spans that still cost their attributes. */
export function findTracer(): Tracer | undefined {
  const provider = trace.getTracerProvider();
  if (provider instanceof ProxyTracerProvider) return provider.getDelegateTracer('waybill');
  return provider.getTracer('waybill');
}

function replayLinks({ replayof, traceparent }: TracedEvent): Link[] | undefined {
  if (replayof === undefined || traceparent !== undefined) return undefined;
  const before = w3c.extract(ROOT_CONTEXT, { traceparent: replayof }, defaultTextMapGetter);
  const spanContext = trace.getSpanContext(before);
  return spanContext && [{ context: spanContext }];
}

function messagingAttributes(options: EventSpanOptions): Attributes {
  const { name, kind, event, destination, batchSize } = options;
  return {
    'messaging.system.name': destination?.system,
    'messaging.operation.name': name,
    'messaging.operation.type': KINDS[kind].operationType,
    'messaging.destination.name': destinationName(options),
    'messaging.message.id': event.id,
    ...destination?.attributes,
    [BATCH_SIZE]: batchSize,
    'cloudevents.event_id': event.id,
    'cloudevents.event_type': event.type,
    'cloudevents.event_source': event.source,
  };
}

/** A type that names no span is not named here either. */
function destinationName({ destination, event, label }: EventSpanOptions): string | undefined {
  if (label === event.type) return destination?.name;
  const parts = destination?.name.split(':');
  return parts?.map((part) => (part === event.type ? label : part)).join(':');
}

function endSpan(span: Span, error?: { code: string; message?: string }): void {
  if (error !== undefined) {
    span.setAttribute('error.type', error.code);
    span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
  }
  span.end();
}
