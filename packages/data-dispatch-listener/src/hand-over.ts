/**
 * A process that is asked to stop hands its streams over to the next: what it waits for in a dataset service that hangs
 * must not keep it.
 */
import type { Handling, TakeTurn } from './turn.ts';

/** Has a turn that was ended by the stop of the process be taken again from its beginning, elsewhere. */
export function handOver(next: TakeTurn): TakeTurn {
  return async (turn) => {
    try {
      return await next(turn);
    } catch (error) {
      if (isHandedOver(error, turn.handling)) return { next: turn.stream };
      throw error;
    }
  };
}

/** Ends what reads for a turn. */
export function readingSignal({ signal, stopping }: Handling): AbortSignal {
  return AbortSignal.any([signal, stopping]);
}

/** Whether `error` says that the process was asked to stop, and the delivery is still its own. */
export function isHandedOver(error: unknown, { signal, stopping }: Handling): boolean {
  return !signal.aborted && stopping.aborted && error === stopping.reason;
}
