/** One event of a delivery between the broker and its handler: it waits, is started, and ends, or is given back. */

/** What is given back: what no handler has seen yet, or all that has not ended. */
export type Left = 'unstarted' | 'unfinished';

export type Attempt = {
  /** Its place among the events of the delivery. */
  index: number;
  /** Resolves when all that the event led to is confirmed, or it was given back; rejects when neither can be. */
  ended: Promise<void>;
  isLeft(left: Left): boolean;
  /** Runs the attempt, unless it was given back meanwhile. Never rejects. */
  start(): Promise<void>;
  /** Ends with `publishing`, by which somebody else gets the event, whatever a handler that was started still does. */
  giveBack(publishing: Promise<void>): void;
};

/** Creates an {@link Attempt} that waits. */
export function createAttempt(index: number, run: () => Promise<void>): Attempt {
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  let state: 'waiting' | 'started' | 'over' = 'waiting';
  // It may be awaited later.
  ended.catch(() => {});

  async function follow(work: Promise<void>): Promise<void> {
    await work.then(resolve, reject);
    state = 'over';
  }

  return {
    index,
    ended,
    isLeft: (left) => state === 'waiting' || (left === 'unfinished' && state === 'started'),
    async start() {
      if (state !== 'waiting') return;
      state = 'started';
      await follow(run());
    },
    giveBack(publishing) {
      state = 'over';
      void follow(publishing);
    },
  };
}
