/** The SERVER span of what is being handled. Who takes the call makes it; what only a handler knows is said here. */
import { type Attributes, type Span, SpanStatusCode, trace } from '@opentelemetry/api';

/**
 * Where to look when something was slow or wrong: the value of `traceresponse` (W3C Trace Context Level 2, a draft). Undefined
 * when nothing is traced.
 */
export function traceResponse(): string | undefined {
  const span = trace.getActiveSpan();
  return span && traceResponseOf(span);
}

/** The same of `span`. */
export function traceResponseOf(span: Span): string {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return `00-${traceId}-${spanId}-0${traceFlags}`;
}

/** Adds to the active span; `describe` is called only where there is one. `error` is a failure that the protocol does not show. */
export function describeServerSpan(
  describe: () => { attributes: Attributes; error?: { code: string; message: string } | undefined },
): void {
  const span = trace.getActiveSpan();
  if (!span?.isRecording()) return;
  const { attributes, error } = describe();
  span.setAttributes(attributes);
  if (!error) return;
  span.setAttribute('error.type', error.code);
  span.setStatus({ code: SpanStatusCode.ERROR, message: error.message });
}
