/**
 * The way to one peer, guarded: what stalls there takes no more than its share here.
 *
 * A **bulkhead** bounds the calls that wait for the peer. A **circuit breaker** opens after calls that found nobody or no answer;
 * from then on the peer is not called, which provably runs nothing, until a health check finds it again. Calls of users never
 * try a broken way out.
 */
import { AppError, type ErrorCode } from '@waybill/common/errors.ts';
import {
  bulkhead,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  handleWhen,
  isBrokenCircuitError,
  isBulkheadRejectedError,
} from 'cockatiel';
import type { ServeRequest, ServeResponse } from './messages.ts';
import type { CallOptions } from './methods.ts';
import type { Peer } from './peer.ts';

/** Failures one after the other with which the breaker opens. */
const MAX_FAILURES = 5;
/** What such a failure is: nobody is there, or nobody answers. */
const SILENCE: ReadonlySet<ErrorCode> = new Set(['not-accepted', 'outcome-unknown']);
/** Calls that may wait for one peer: fewer than a site takes on one connection, so that health checks never wait behind them. */
const MAX_IN_FLIGHT = 900;
/**
 * A caller that waits for less, or has gone, says nothing of the peer when it is not answered: else anybody could open the breaker.
 * Nor does a call that began before the peer was last heard of.
 */
const MIN_JUDGED_MS = 1_000;
/**
 * After which an open breaker lets a health check through: at once, as nothing else is let through. It is measured by the wall
 * clock, which may step back, and then not even 0 has passed.
 */
const HALF_OPEN_AFTER_MS = Number.NEGATIVE_INFINITY;

export type Link = {
  /** Calls that wait for the peer. */
  inFlight(): number;
  /** Whether the breaker lets calls through. */
  isClosed(): boolean;
  /** When the peer was last heard of, by an answer to a call or a health check; by `performance.now()`. */
  heardMs(): number;
  /** As {@link Peer.serve}. Rejects with `not-accepted` at once when the bulkhead is full or the breaker open. */
  serve(request: ServeRequest, options: CallOptions): Promise<ServeResponse>;
  /** As {@link Peer.check}; closes a breaker that is open. */
  check(options: CallOptions): Promise<void>;
};

/** Guards `peer`. */
export function createLink(peer: Pick<Peer, 'serve' | 'check'>, { maxInFlight = MAX_IN_FLIGHT } = {}): Link {
  const room = bulkhead(maxInFlight);
  const excused = new WeakSet<AppError>();
  const breaker = circuitBreaker(
    handleWhen((error) => error instanceof AppError && SILENCE.has(error.code) && !excused.has(error)),
    { breaker: new ConsecutiveBreaker(MAX_FAILURES), halfOpenAfter: HALF_OPEN_AFTER_MS },
  );
  const isClosed = () => breaker.state === CircuitState.Closed;
  let heardMs = 0;

  /** Has failures that say nothing of the peer as it is now known as such. */
  async function judged<T>(run: () => Promise<T>, { deadlineMs, signal }: CallOptions): Promise<T> {
    const startedMs = performance.now();
    try {
      const answer = await run();
      heardMs = performance.now();
      return answer;
    } catch (thrown) {
      const isImpatient = deadlineMs < MIN_JUDGED_MS || signal?.aborted;
      if ((isImpatient || startedMs < heardMs) && thrown instanceof AppError) excused.add(thrown);
      throw thrown;
    }
  }

  return {
    inFlight: () => maxInFlight - room.executionSlots,
    isClosed,
    heardMs: () => heardMs,
    serve(request, options) {
      if (!isClosed()) return Promise.reject(notCalled('it has not answered lately'));
      return guarded(() =>
        room.execute(() => breaker.execute(() => judged(() => peer.serve(request, options), options))),
      );
    },
    check: (options) => guarded(() => breaker.execute(() => judged(() => peer.check(options), options))),
  };
}

async function guarded<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (thrown) {
    if (isBulkheadRejectedError(thrown)) throw notCalled('too many calls wait for it');
    if (isBrokenCircuitError(thrown)) throw notCalled('it has not answered lately');
    throw thrown;
  }
}

function notCalled(why: string): AppError {
  return new AppError('not-accepted', why);
}
