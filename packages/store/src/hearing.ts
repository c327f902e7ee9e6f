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

/** Creates a {@link Hearing} that begins now. */
export function createHearing({
  nowMs,
  heardWithinMs = HEARD_WITHIN_MS,
}: {
  nowMs: () => number;
  heardWithinMs?: number | undefined;
}): Hearing {
  let answeredMs = Number.NEGATIVE_INFINITY;
  let backMs = nowMs();
  return {
    async during(call) {
      if (nowMs() - answeredMs > AWAY_MS) backMs = nowMs();
      const result = await call();
      answeredMs = nowMs();
      return result;
    },
    hasHeardAll: () => nowMs() - backMs >= heardWithinMs,
  };
}
