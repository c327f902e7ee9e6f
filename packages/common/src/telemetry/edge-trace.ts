/**
 * Traces at the public edge: a client's `traceparent` never becomes the parent of our SERVER span, because a stranger
 * would then choose our trace ids and what is sampled; it is kept as a link. Baggage is neither read nor passed on.
 *
 * Every HTTP server that is traced is public (`createHttpServer` traces no other), so this holds for all inbound HTTP, that of
 * servers of a listener's handlers too. Inbound gRPC comes from our own tiers and keeps its parent, unless the process says that strangers
 * reach its gRPC port ({@link isolateGrpcTraces}); there too that of a caller who is none ({@link continueGrpcTrace}).
 * Outbound requests carry the active span as usual.
 */
import type { ClientRequest, IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Metadata } from '@grpc/grpc-js';
import {
  type Context,
  createContextKey,
  context as currentContext,
  defaultTextMapGetter,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  type TextMapGetter,
  type TextMapPropagator,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';

const INBOUND = createContextKey('waybill inbound trace');
/**
 * Whether strangers reach the gRPC port of this process. Through the global registry, so that the preload and a service need not
 * share one copy of this module.
 */
const PUBLIC_GRPC = Symbol.for('waybill.public-grpc');
/** Said in the metadata of callers that are no strangers, which is not sent. */
const CONTINUES = 'waybill-trace-continues';
const w3c = new W3CTraceContextPropagator();

/** W3C trace context that sets an HTTP client's span aside for {@link linkInboundTrace}. */
export const edgePropagator: TextMapPropagator = {
  inject: w3c.inject.bind(w3c),
  fields: w3c.fields.bind(w3c),
  extract(context, carrier, asGiven) {
    const getter = withinLimits(asGiven);
    if (isGrpcMetadata(carrier) && (!Reflect.has(globalThis, PUBLIC_GRPC) || carrier.getOpaque(CONTINUES)))
      return w3c.extract(context, carrier, getter);
    const inbound = trace.getSpanContext(w3c.extract(ROOT_CONTEXT, carrier, getter));
    return inbound === undefined ? context : context.setValue(INBOUND, inbound);
  },
};

/** The span that a client of a public HTTP server says it calls from. */
export function namedByClient(headers: IncomingHttpHeaders): SpanContext | undefined {
  if (headers.traceparent === undefined) return undefined;
  return trace.getSpanContext(w3c.extract(ROOT_CONTEXT, headers, withinLimits(defaultTextMapGetter)));
}

/** W3C Trace Context, section 3.3: of one tracestate. */
const MAX_TRACESTATE_MEMBERS = 32;
const MAX_TRACESTATE_LENGTH = 512;

/**
 * A tracestate over its limits is discarded whole, as W3C asks; the SDK would keep the members that fit. One without members is
 * none: gRPC's metadata gives an empty list where there is no tracestate, and an event may not have an empty one.
 */
function withinLimits<Carrier>(getter: TextMapGetter<Carrier>): TextMapGetter<Carrier> {
  return {
    keys: (carrier) => getter.keys(carrier),
    get(carrier, name) {
      const value = getter.get(carrier, name);
      if (name !== 'tracestate' || value === undefined) return value;
      const text = String(value);
      const members = text.split(',').filter((member) => member.trim() !== '').length;
      const isWithin = members <= MAX_TRACESTATE_MEMBERS && text.length <= MAX_TRACESTATE_LENGTH;
      return members > 0 && isWithin ? value : undefined;
    },
  };
}

/** From now on the gRPC servers of this process treat a caller's trace as the public HTTP port does. */
export function isolateGrpcTraces(): void {
  Reflect.set(globalThis, PUBLIC_GRPC, true);
}

/**
 * Has the trace of one gRPC caller go on here although strangers reach the port: it has shown that it is none. To be called
 * before the call is handled.
 */
export function continueGrpcTrace(metadata: Pick<Metadata, 'setOpaque'>): void {
  metadata.setOpaque(CONTINUES, true);
}

/**
 * Links the active SERVER span to the span that the gRPC caller named. To be called first in a handler: the gRPC
 * instrumentation has no hook for it.
 */
export function linkInboundGrpcTrace(): void {
  const inbound = inboundTrace(currentContext.active());
  if (inbound !== undefined) trace.getActiveSpan()?.addLink({ context: inbound });
}

/** `requestHook` of the http instrumentation: links the SERVER span to the span that the client named. */
export function linkInboundTrace(
  span: Span,
  request: ClientRequest | Pick<IncomingMessage, 'rawHeaders'>,
): void {
  const isServer = 'rawHeaders' in request;
  const inbound = isServer ? inboundTrace(currentContext.active()) : undefined;
  if (inbound !== undefined) span.addLink({ context: inbound });
}

function inboundTrace(context: Context): SpanContext | undefined {
  return context.getValue(INBOUND) as SpanContext | undefined;
}

function isGrpcMetadata(carrier: unknown): carrier is Metadata {
  return typeof (carrier as { getMap?: unknown } | undefined)?.getMap === 'function';
}
