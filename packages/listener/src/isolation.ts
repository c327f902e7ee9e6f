/**
 * Order in a process that handles suspects (events that were on board of repeated crashes): when a suspect kills it,
 * nothing else must have been started beside it, and no message may be half-way into isolation, or it would be there
 * twice.
 */
import { setTimeout as delay } from 'node:timers/promises';

/** An ack has no answer. On a usual network the broker has it after this long; if not, an event is isolated twice. */
const ACK_ARRIVES_MS = 50;

/** A process that a suspect kills dies at once, as a rule; a slow suspect is an innocent one. */
const MAX_PAUSE_MS = 1_000;

export type Isolation = {
  /** Resolves when no suspect is in hand, or the one in hand has had a second: it must not hold up a whole process. */
  whenNoneRuns(): Promise<void>;
  /** Waits for `moving`, after which a message is acked; holds suspects back until then. Rejects as it does. */
  move(moving: Promise<void>): Promise<void>;
  /** Runs a suspect when none is in hand and none is moving. */
  runAlone(run: () => Promise<void>): Promise<void>;
};

/** Creates the {@link Isolation} of one process. */
export function createIsolation(): Isolation {
  const moves = new Set<Promise<void>>();
  /** The end of the suspect in hand. */
  let suspect: Promise<void> | undefined;
  /** Ends with the suspect in hand, or a second after its start. */
  let pause: Promise<void> | undefined;

  return {
    async whenNoneRuns() {
      await pause;
    },
    async move(moving) {
      const moved = moving.then(
        () => delay(ACK_ARRIVES_MS),
        () => {},
      );
      moves.add(moved);
      void moved.then(() => moves.delete(moved));
      await moving;
    },
    async runAlone(run) {
      while (suspect) await suspect;
      const { promise, resolve } = Promise.withResolvers<void>();
      suspect = promise;
      pause = Promise.race([promise, delay(MAX_PAUSE_MS, undefined, { ref: false })]);
      try {
        while (moves.size > 0) await Promise.all(moves);
        await run();
      } finally {
        suspect = undefined;
        pause = undefined;
        resolve();
      }
    },
  };
}
