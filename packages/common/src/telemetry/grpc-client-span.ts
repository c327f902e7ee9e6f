/**
 * The CLIENT span of a gRPC call that is made on a channel: the instrumentation of grpc-js sees calls of its clients alone. It has
 * the name and the attributes that it has there.
 */
import {
  context,
  defaultTextMapSetter,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { failedSpan } from './failed-spans.ts';
import { describeSpan, findTracer } from './tracing.ts';

export type GrpcClientSpan = {
  /** Ends it with the gRPC status of the call; 0 is OK, and any other has it exported even if it was not sampled. */
  end(status: { code: number; details: string }): void;
};

const UNTRACED: GrpcClientSpan = { end() {} };
const STATUS_CODE = 'rpc.grpc.status_code';
const w3c = new W3CTraceContextPropagator();
let tracer: Tracer | undefined;

/**
 * Starts the span of a call of `path` (`/package.Service/Method`) below the active one, and says in `metadata`, which is sent with the
 * call, that it is the parent of what the call leads to. Costs next to nothing when no SDK is registered.
 */
export function startGrpcClientSpan(
  path: string,
  metadata: { set(name: string, value: string): void },
): GrpcClientSpan {
  tracer ??= findTracer();
  if (!tracer) return UNTRACED;
  const [, service, method] = path.split('/');
  const name = `grpc.${service}/${method}`;
  const start = {
    tracer,
    name,
    options: { kind: SpanKind.CLIENT },
    parent: context.active(),
    startedMs: Date.now(),
  };
  const span = tracer.startSpan(name, start.options, start.parent);
  const describe = (each: Span) =>
    describeSpan(each, { 'rpc.system': 'grpc', 'rpc.service': service, 'rpc.method': method });
  if (span.isRecording()) describe(span);
  const carrier: Record<string, string> = {};
  w3c.inject(trace.setSpan(start.parent, span), carrier, defaultTextMapSetter);
  for (const [name, value] of Object.entries(carrier)) metadata.set(name, value);
  return {
    end({ code, details }) {
      const ended = code === 0 ? span : failedSpan(span, start, describe);
      ended.setAttribute(STATUS_CODE, code);
      if (code !== 0) ended.setStatus({ code: SpanStatusCode.ERROR, message: details });
      ended.end();
    },
  };
}
