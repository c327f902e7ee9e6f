/**
 * What fails is exported whatever the sampler says. It decides when a span starts, and whether something fails is known when it ends:
 * so a span that was left out, and cost nothing, is started again when it has failed, under the ids that it had.
 *
 * Nothing here loads the SDK, whose sampler and generator of ids ask {@link startedAgain} (`sampler.ts`).
 */
import {
  type Context,
  isSpanContextValid,
  type Span,
  type SpanContext,
  type SpanOptions,
  type Tracer,
} from '@opentelemetry/api';

/** What a span was started with, and when in ms since the epoch, for it to be started again. */
export type SpanStart = {
  tracer: Tracer;
  name: string;
  options: SpanOptions;
  parent: Context;
  startedMs: number;
};

let again: SpanContext | undefined;

/** The ids of the span that is being started again; undefined while any other is started. */
export function startedAgain(): SpanContext | undefined {
  return again;
}

/**
 * The span to be ended for what has failed: `span`; or, where the sampler has left that out, the same started again, to be recorded
 * and exported, of which `describe` says what was not said. One that is not traced at all stays so.
 */
export function failedSpan(
  span: Span,
  { tracer, name, options, parent, startedMs }: SpanStart,
  describe: (span: Span) => void,
): Span {
  if (span.isRecording() || !isSpanContextValid(span.spanContext())) return span;
  again = span.spanContext();
  try {
    const failed = tracer.startSpan(name, { ...options, startTime: startedMs }, parent);
    describe(failed);
    return failed;
  } finally {
    again = undefined;
  }
}
