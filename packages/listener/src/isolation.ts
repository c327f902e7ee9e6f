/**
 * Order in a process that handles suspects (events that were on board of repeated crashes): when a suspect kills it,
 * nothing else must have been started just before, and no message may be half-way into isolation, or it would be there
 * twice.
 *
 * A suspect is taken for innocent once it has run for a while, and the next one may start; a process that a suspect kills
 * dies at once, as a rule. Where the rule fails, those that ran together are suspects more than before, and from then on
 * each of them runs alone, to its end.
 */
import { setTimeout as delay } from 'node:timers/promises';

/** An ack has no answer. On a usual network the broker has it after this long; if not, an event is isolated twice. */
export const ACK_ARRIVES_MS = 50;

/** How long a suspect runs before it counts as innocent: 40 slow ones in a row have all been started after 4 s. */
const PROOF_MS = 100;

/** How long a suspect that has to run alone keeps other events from being started: a slow suspect is an innocent one. */
const MAX_PAUSE_MS = 1_000;

export type Isolation = {
  /** Whether a suspect may be in hand that {@link Isolation.whenNoneRuns} waits for. False in a process that has had none. */
  mayRun(): boolean;
  /** Resolves when no suspect is in hand that may still kill the process, or after a second: it must not hold up all. */
  whenNoneRuns(): Promise<void>;
  /** Resolves when no message is moving. What may be guilty is not to be started before, or it could come twice. */
  whenNoneMoves(): Promise<void>;
  /** Waits for `moving`, after which a message is acked; holds back until then what waits for it. Rejects as it does. */
  move(moving: Promise<void>): Promise<void>;
  /**
   * Runs a suspect when none is moving; one that `isAlone` when no other is in hand either.
   *
   * @param onInnocent called when the next suspect may start beside it; never for one that is alone.
   */
  runSuspect(
    run: () => Promise<void>,
    options: { isAlone: boolean; onInnocent?: (() => void) | undefined },
  ): Promise<void>;
};

/** Creates the {@link Isolation} of one process. */
export function createIsolation(): Isolation {
  const moves = new Set<Promise<void>>();
  /** The ends of the suspects in hand. */
  const suspects = new Set<Promise<void>>();
  /** Ends when the suspect that was started last may no longer kill the process. */
  let pause: Promise<void> | undefined;

  return {
    mayRun: () => pause !== undefined,
    async whenNoneRuns() {
      const untilMs = performance.now() + MAX_PAUSE_MS;
      // Another one may have been started meanwhile.
      for (let awaited: typeof pause; awaited !== pause && performance.now() < untilMs; ) {
        awaited = pause;
        await awaited;
      }
    },
    whenNoneMoves,
    async move(moving) {
      const moved = moving.then(
        () => delay(ACK_ARRIVES_MS),
        () => {},
      );
      moves.add(moved);
      void moved.then(() => moves.delete(moved));
      await moving;
    },
    async runSuspect(run, { isAlone, onInnocent }) {
      while (isAlone && suspects.size > 0) await Promise.all(suspects);
      const { promise: ended, resolve: end } = Promise.withResolvers<void>();
      suspects.add(ended);
      const started = whenNoneMoves();
      const proved = started.then(() => delay(PROOF_MS, undefined, { ref: false }));
      const innocent = isAlone ? ended : Promise.race([ended, proved]);
      pause = Promise.race([innocent, delay(MAX_PAUSE_MS, undefined, { ref: false })]);
      if (!isAlone) void innocent.then(onInnocent);
      try {
        await started;
        await run();
      } finally {
        suspects.delete(ended);
        end();
      }
    },
  };

  async function whenNoneMoves(): Promise<void> {
    while (moves.size > 0) await Promise.all(moves);
  }
}
