/** The promises of `docs/data-dispatch.md` that a run with streams is held against, beside those of `check.ts`. */
import { contradictions, firstOccurrences, isComplete, repetitions } from '../e2e/dataset-consumer.ts';
import type { RunResult } from './check.ts';
import { isOwed, type StreamOperation } from './stream-load.ts';

/** The streams that break each promise, in words. */
export function streamPromises({
  streams = [],
  deadLetters,
}: Pick<RunResult, 'streams' | 'deadLetters'>): Record<string, string[]> {
  const givenUp = new Set(deadLetters.map(({ clientId }) => clientId));
  const breaches = {
    'a refused stream never comes': ({ outcome, received }: StreamOperation) =>
      outcome === 'refused' && received.length > 0,
    'a stream comes whole': (stream: StreamOperation) => isOwed(stream) && !givenUp.has(stream.clientId),
    'batches come in order and do not contradict each other': isMuddled,
    'only documented answers to who asks for a dataset': ({ outcome }: StreamOperation) =>
      outcome === 'wrong',
  };
  return Object.fromEntries(
    Object.entries(breaches).map(([promise, isBreach]) => [promise, streams.filter(isBreach).map(show)]),
  );
}

/** The figures of its streams in a run's row, if it had any. */
export function summarizeStreams({ streams = [] }: Pick<RunResult, 'streams'>) {
  if (streams.length === 0) return {};
  return {
    streams: streams.length,
    accepted: streams.filter(({ outcome }) => outcome === 'accepted').length,
    whole: streams.filter(({ received }) => isComplete(received)).length,
    batches: streams.reduce((sum, { received }) => sum + received.length, 0),
    'batches again': streams.reduce((sum, { received }) => sum + repetitions(received).length, 0),
  };
}

function isMuddled({ received }: StreamOperation): boolean {
  const isInOrder = firstOccurrences(received).every((index, place) => index === place);
  return !isInOrder || contradictions(received).length > 0;
}

function show({ clientId, publicWeb, startMs, received, ...told }: StreamOperation): string {
  const when = new Date(startMs).toISOString().slice(11, 23);
  const batches = firstOccurrences(received).length;
  return `${clientId} at ${when} by public-web-${publicWeb}: ${Object.values(told).join(' ')}, ${batches} batches`;
}
