/** The turn of a stream: what one delivery does about it. */
import type { FurtherEvent, HandlerContext } from '@waybill/listener/handler.ts';
import type { DatasetStream } from './dataset-stream.ts';

/** What a turn has of its handler's context. */
export type Handling = Pick<HandlerContext, 'signal' | 'stopping' | 'attempt' | 'log'>;

export type Turn = {
  /** The id of the event that the delivery brought. */
  eventId: string;
  stream: DatasetStream;
  handling: Handling;
};

/** What follows. */
export type TurnOutcome = {
  /** Where the stream goes on; undefined when nothing is left to do. */
  next?: DatasetStream;
  /** How long it waits before; default not at all. */
  delayMs?: FurtherEvent['delayMs'];
  /** Called when the broker has confirmed the event to go on with. */
  onConfirmed?: () => void;
};

export type TakeTurn = (turn: Turn) => Promise<TurnOutcome>;

/** A concern of all turns, around what they do. */
export type AroundTurns = (next: TakeTurn) => TakeTurn;
