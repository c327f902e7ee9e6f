/** Patience with clients that are busy: their streams look again later, at the same place. Nothing is wrong with them. */
import { AppError } from '@waybill/common/errors.ts';
import { TerminalError } from '@waybill/listener/handler.ts';
import type { DatasetStream } from './dataset-stream.ts';
import { withOrder } from './queue-sink.ts';
import type { AroundTurns, Handling, TurnOutcome } from './turn.ts';

/** How soon a client that was busy is looked at again, and one that has been for a while. */
export const PAUSE_MS = 1_000;
const LONG_PAUSE_MS = 5_000;
const LONG_PAUSE_AFTER_MS = 10_000;

/** So many messages wait in the client's queue that it gets no more. */
export class QueueFull extends AppError {
  readonly ready: number;

  constructor(ready: number) {
    super('client-queue-busy', "the client's queue is full");
    this.ready = ready;
  }
}

/**
 * Creates what makes a pause of a turn that ends with `client-queue-busy`. After `maxPauseMs` in which the client took
 * nothing, the turn ends with a TerminalError `client-queue-full`.
 */
export function createPause({ maxPauseMs }: { maxPauseMs: number }): AroundTurns {
  return (next) => async (turn) => {
    try {
      return await next(turn);
    } catch (error) {
      if (!isBusy(error) || turn.handling.signal.aborted) throw error;
      const ready = error instanceof QueueFull ? error.ready : undefined;
      return pause(withOrder(turn.stream, error), ready, turn.handling, maxPauseMs);
    }
  };
}

/** The clock starts anew when the client has taken messages: when fewer wait than the last time. */
function pause(
  stream: DatasetStream,
  ready: number | undefined,
  { log }: Handling,
  maxPauseMs: number,
): TurnOutcome {
  const last = stream.pause;
  const isTaking = ready !== undefined && last?.ready !== undefined && ready < last.ready;
  const since = isTaking || !last ? new Date().toISOString() : last.since;
  const pausedMs = Date.now() - Date.parse(since);
  if (pausedMs >= maxPauseMs)
    throw new TerminalError('client-queue-full', `the client's queue took nothing for ${maxPauseMs} ms`);
  log.debug({ stream_id: stream.id, ready }, "the client's queue is full, waiting");
  return {
    next: { ...stream, pause: { since, ready: ready ?? last?.ready } },
    delayMs: pausedMs < LONG_PAUSE_AFTER_MS ? PAUSE_MS : LONG_PAUSE_MS,
  };
}

function isBusy(error: unknown): boolean {
  return error instanceof AppError && error.code === 'client-queue-busy';
}
