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

/** What a span was started with, for it to be started again. */
export type SpanStart = { tracer: Tracer; name: string; options: SpanOptions; parent: Context };

let again: SpanContext | undefined;

/** The ids of the span that is being started again; undefined while any other is started. */
export function startedAgain(): SpanContext | undefined {
  return again;
}

/** Whether `span` was left out by the sampler. One that is not traced at all was not. */
export function isLeftOut(span: Span): boolean {
  return !span.isRecording() && isSpanContextValid(span.spanContext());
}

/** Starts a span that was left out again, to be recorded and exported; it began at `startedMs` since the epoch. */
export function startAgain(
  span: Span,
  { tracer, name, options, parent }: SpanStart,
  startedMs: number,
): Span {
  again = span.spanContext();
  try {
    return tracer.startSpan(name, { ...options, startTime: startedMs }, parent);
  } finally {
    again = undefined;
  }
}
