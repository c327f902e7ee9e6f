/**
 * Whether by now everybody could be heard who had something to say. Who lets go of a mailbox while its database is away, or this process,
 * says so again until it is heard, which is some time after they are back.
 */

/** Public-webs call each second, as long as they have clients. */
const AWAY_MS = 2_000;
/** By when one that was not heard has come again: a call waits 3 s for its answer, and the next one follows within half a second. */
export const HEARD_WITHIN_MS = 5_000;

export type Hearing = {
  /** Runs a call of the database, which is what says whether it is away. */
  during<T>(call: () => Promise<T>): Promise<T>;
  /** False in the first `heardWithinMs` after a start, or after a time in which no call succeeded. */
  hasHeardAll(): boolean;
};

/**
 * Creates a {@link Hearing} that begins now.
 *
 * Times are by a clock that nobody sets: by one that is set back an outage is hidden, or the wait after it is longer. But such a clock
 * may stand still while the whole machine does, and `nowMs` shows that, or is set forward, and fences are due too early.
 */
export function createHearing({
  nowMs,
  monotonicMs = () => performance.now(),
  heardWithinMs = HEARD_WITHIN_MS,
}: {
  nowMs: () => number;
  monotonicMs?: (() => number) | undefined;
  heardWithinMs?: number | undefined;
}): Hearing {
  const clocks = [monotonicMs, nowMs];
  let answeredMs = clocks.map(() => Number.NEGATIVE_INFINITY);
  let backMs = monotonicMs();
  const isAway = () => clocks.some((clock, index) => clock() - (answeredMs[index] ?? 0) > AWAY_MS);
  return {
    async during(call) {
      if (isAway()) backMs = monotonicMs();
      const result = await call();
      answeredMs = clocks.map((clock) => clock());
      return result;
    },
    hasHeardAll: () => monotonicMs() - backMs >= heardWithinMs,
  };
}
