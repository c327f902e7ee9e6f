/**
 * The way to one peer, guarded: what stalls there takes no more than its share here.
 *
 * A **bulkhead** bounds the calls that wait for the peer. A **circuit breaker** opens after calls that found nobody or no answer;
 * from then on the peer is not called, which provably runs nothing, until a health check finds it again. Calls of users never
 * try a broken way out.
 */
import { AppError } from '@waybill/common/errors.ts';
import {
  bulkhead,
  CircuitState,
  ConsecutiveBreaker,
  circuitBreaker,
  ExponentialBackoff,
  handleWhen,
  isBrokenCircuitError,
  isBulkheadRejectedError,
} from 'cockatiel';
import type { ServeRequest, ServeResponse } from './messages.ts';
import type { CallOptions } from './methods.ts';
import type { Peer } from './peer.ts';

/** Failures one after the other with which the breaker opens. */
const MAX_FAILURES = 5;
/** Calls that may wait for one peer: fewer than a site takes on one connection, so that health checks never wait behind them. */
const MAX_IN_FLIGHT = 900;
/** A caller that waits for less says nothing of the peer when it is not answered: else anybody could open the breaker. */
const MIN_JUDGED_MS = 1_000;
/** After which an open breaker lets a health check through. */
const HALF_OPEN_AFTER = { initialDelay: 100, maxDelay: 2_000 };

export type Link = {
  /** Calls that wait for the peer. */
  inFlight(): number;
  /** Whether the breaker lets calls through. */
  isClosed(): boolean;
  /** As {@link Peer.serve}. Rejects with `not-accepted` at once when the bulkhead is full or the breaker open. */
  serve(request: ServeRequest, options: CallOptions): Promise<ServeResponse>;
  /** As {@link Peer.check}; closes a breaker that is open. */
  check(options: CallOptions): Promise<void>;
};

/** Guards `peer`. */
export function createLink(peer: Pick<Peer, 'serve' | 'check'>, { maxInFlight = MAX_IN_FLIGHT } = {}): Link {
  const room = bulkhead(maxInFlight);
  const breaker = circuitBreaker(
    handleWhen((error) => error instanceof AppError && !isImpatience(error)),
    { breaker: new ConsecutiveBreaker(MAX_FAILURES), halfOpenAfter: new ExponentialBackoff(HALF_OPEN_AFTER) },
  );
  const isClosed = () => breaker.state === CircuitState.Closed;

  return {
    inFlight: () => maxInFlight - room.executionSlots,
    isClosed,
    serve(request, options) {
      if (!isClosed()) return Promise.reject(notCalled('it has not answered lately'));
      return guarded(() =>
        room.execute(() => breaker.execute(() => judged(peer.serve(request, options), options))),
      );
    },
    check: (options) => guarded(() => breaker.execute(() => peer.check(options))),
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

const impatient = new WeakSet<AppError>();
const isImpatience = (error: AppError) => impatient.has(error);

/** Marks the failures that say nothing of the peer. */
async function judged<T>(call: Promise<T>, { deadlineMs, signal }: CallOptions): Promise<T> {
  try {
    return await call;
  } catch (thrown) {
    const isOurs = deadlineMs < MIN_JUDGED_MS || signal?.aborted;
    if (isOurs && thrown instanceof AppError && thrown.code === 'outcome-unknown') impatient.add(thrown);
    throw thrown;
  }
}

function notCalled(why: string): AppError {
  return new AppError('not-accepted', why);
}
