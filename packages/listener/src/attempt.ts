/** One event of a delivery between the broker and its handler: it waits, is started, and ends, or is given back. */

/** What is given back: what no handler has seen yet, or all that has not ended. */
export type Left = 'unstarted' | 'unfinished';

export type Attempt = {
  /** Its place among the events of the delivery. */
  index: number;
  isLeft(left: Left): boolean;
  /** Runs the attempt, unless it was given back meanwhile. Never rejects. */
  start(): Promise<void>;
  /** Ends with `publishing`, by which somebody else gets the event, whatever a handler that was started still does. */
  giveBack(publishing: Promise<void>): void;
};

/** The attempts at the events of a delivery. */
export type Attempts = {
  each: Attempt[];
  /**
   * Resolves when all that each of them led to is confirmed, or it was given back; rejects, when all have ended, if neither can be
   * of one of them.
   */
  ended: Promise<void>;
};

/** Why an attempt did not end well. */
type Failure = { error: unknown };

/** Creates {@link Attempts} at `count` events, at least one, that wait; `run` is given the place of one. */
export function createAttempts(count: number, run: (index: number) => Promise<unknown>): Attempts {
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  let left = count;
  let first: Failure | undefined;

  function onEnd(failure: Failure | undefined): void {
    first ??= failure;
    left -= 1;
    if (left > 0) return;
    if (first) reject(first.error);
    else resolve();
  }

  return { each: Array.from({ length: count }, (_, index) => createAttempt(index, run, onEnd)), ended };
}

function createAttempt(
  index: number,
  run: (index: number) => Promise<unknown>,
  onEnd: (failure: Failure | undefined) => void,
): Attempt {
  let state: 'waiting' | 'started' | 'over' = 'waiting';
  let isEnded = false;

  /** Whichever of two ends first is the end. */
  async function follow(work: () => Promise<unknown>): Promise<void> {
    let failure: Failure | undefined;
    try {
      await work();
    } catch (error) {
      failure = { error };
    }
    state = 'over';
    if (!isEnded) onEnd(failure);
    isEnded = true;
  }

  return {
    index,
    isLeft: (left) => state === 'waiting' || (left === 'unfinished' && state === 'started'),
    start() {
      if (state !== 'waiting') return Promise.resolve();
      state = 'started';
      return follow(() => run(index));
    },
    giveBack(publishing) {
      state = 'over';
      void follow(() => publishing);
    },
  };
}
