/** What the author of a listener writes, and is given. */
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { Logger } from 'pino';
import type { Problem } from './problem.ts';
import type { Schema } from './schema.ts';

/**
 * Handles one event. It may be called more than once for the same event (after a crash, a lost connection, or an
 * error), so its effects must bear repeating; `event.id` with `event.source` names the event, and `oncePerEvent` tells
 * repetitions by them. The event it is given is its own: each attempt, and the dead letter, has the event as it came.
 *
 * Numbers in its data are doubles: one that no double holds, such as an integer beyond 2^53, is rounded to the nearest
 * (the tiers before passed its digits on unchanged). Who needs all digits sends them as a string.
 *
 * An error is retried after 0.2, 1, 5 and 5 s, and after the last attempt the event is dead-lettered and its client told
 * 502, so by default 11 s later; a {@link TerminalError} is not retried, and tells the client its code and message. A
 * {@link Problem}, thrown or returned, is no error but an answer.
 */
export type Handler<Event extends CloudEvent = CloudEvent> = (
  event: Event,
  context: HandlerContext,
) => Promise<Handled> | Handled;

// biome-ignore lint/suspicious/noConfusingVoidType: a function without a return is one that returns nothing
type Nothing = undefined | void;
type Handled = HandlerResult | Problem | Nothing;

/** An event whose data is known to be of a type. */
export type EventWith<Data> = CloudEvent & { data: Data };

/** What a handler makes of an event. */
export type HandlerResult = {
  /** The answer to the client of the event. A client that waits and gets none is told that it is done (204). */
  reply?: NewEvent;
  /**
   * Further events, published before the event is acked. Another attempt makes them again: give them ids of your own
   * where a receiver has to tell.
   */
  events?: FurtherEvent[];
  /**
   * Called when the broker has confirmed the reply and all further events, just before the ack. The ack may still be
   * lost, and the event be handled again. What it throws is logged, and changes nothing.
   */
  onConfirmed?: () => void;
};

/** A further event of a handler. */
export type FurtherEvent = NewEvent & {
  /**
   * Keeps the event for this long, and then gives it to this service alone, as its next attempts are; absent: it goes
   * to the service that handles its type, at once. In whole milliseconds, from 1 to a day; rounded up by 2% or 200 ms at the
   * most. What the service's queue is late comes on top.
   */
  delayMs?: number;
  /**
   * Whether it goes on with the work of the event that it is made from. Otherwise it is one hop further from what was sent,
   * and an event that is more than 32 hops away is dead-lettered. A continuation has to end by a rule of its handler's own.
   */
  isContinuation?: boolean;
  /**
   * Whether somebody has to take it: where no service does, the event that it is made from fails. Absent: only if it is a
   * continuation, or delayed; what is published otherwise may interest nobody, or only observers.
   */
  mandatory?: boolean;
  /**
   * Leaves the answer to whoever handles this event, or what follows from it: it carries the reply address and the deadline
   * on, and is mandatory. Then there is no reply now, and of all further events only one may be so.
   */
  reply?: 'later';
};

/** An event to be made; `id`, `source`, `time` and the tracing attributes are added. */
export type NewEvent = {
  type: string;
  /**
   * What JSON carries, or bytes (a Buffer, a Uint8Array, an ArrayBuffer), which become `data_base64`. What JSON cannot
   * carry unchanged (Map, Set, NaN, Infinity, bigint, bytes within other data) makes the event invalid, and its client
   * is told 502. Objects with `toJSON`, such as Date, are what that returns; members that are undefined are left out.
   */
  data?: unknown;
  id?: string;
  subject?: string;
  dataschema?: string;
  /** Of a reply: no media type of events, and no charset but UTF-8, unless the data is bytes. */
  datacontenttype?: string;
  data_base64?: string;
};

/** What else there is to say of a request to another service. */
export type RequestOptions = {
  /**
   * How long all of it may take, in whole milliseconds, from 1 to 20 minutes (default 30,000); no longer than the event itself
   * has.
   */
  timeoutMs?: number;
  /** Names the request; default: made of the event's, so that another attempt at it asks under the same id. */
  id?: string;
};

/**
 * Asks another service: sends it an event of `type`, by the way of all events and with what is left of this event's
 * deadline, trace and hops, and resolves with its reply (one of type `waybill.NoContent` where it has nothing to say). Another
 * attempt at the event asks again, under the same id.
 *
 * @throws RequestProblem when the service answers with a problem; AppError `unroutable` when no service answers the type,
 *   `outcome-unknown` when there is no reply in time; TerminalError when it is no valid event, or `timeoutMs` none that may be.
 */
export type Request = (type: string, data?: unknown, options?: RequestOptions) => Promise<CloudEvent>;

export type HandlerContext = {
  request: Request;
  /**
   * Publishes a further event now, instead of with the result: resolves when the broker has it. Another attempt publishes it
   * again. Not one with `reply: 'later'`.
   */
  publish(event: FurtherEvent): Promise<void>;
  /**
   * Aborts when the result is no longer wanted: the event's deadline or the handler's `timeoutMs` passed, or the
   * delivery was lost and somebody else handles the event.
   */
  signal: AbortSignal;
  /**
   * Aborts when the process is asked to stop, with about 5 s to go: a handler that works in steps ends at the next one,
   * and leaves the rest to a further event.
   */
  stopping: AbortSignal;
  /** 1 for the first attempt. */
  attempt: number;
  /** Its lines carry the event's ids. */
  log: Logger;
};

/** A handler with settings of its own. */
export type HandlerWithOptions<Data = unknown> = {
  /**
   * What the data has to be, and what TypeScript takes it for. The handler gets it as the schema gives it back, with
   * defaults and transformations. A client whose data is otherwise is told 422 with a pointer to each fault, without a
   * retry or a dead letter; an event that nobody waits for is dead-lettered (`invalid-data`).
   */
  schema?: Schema<Data> | undefined;
  /** Called with data that is valid. */
  handle(event: EventWith<Data>, context: HandlerContext): ReturnType<Handler>;
  /** Attempts before the event is given up (default 5). */
  maxAttempts?: number;
  /**
   * How long one attempt may take, in milliseconds (default 30,000, at most 20 minutes, or 5 if it is `ordered`); the event's
   * own deadline may be nearer.
   */
  timeoutMs?: number;
  /**
   * Whether events with the same `partitionkey` are handled one after the other, in the order in which the broker confirmed them
   * (default false): the next is begun when the one before it has ended, after all of its attempts. Events with
   * different keys run beside each other, and so do those without a key. For each such event this process holds those
   * that wait behind it, so its attempts are made here, and are counted anew by another process.
   */
  ordered?: boolean;
};

/** The handlers of a listener, by event type; `Data` has the type of the data that each schema lets through. */
export type Handlers<Data extends Record<string, unknown> = Record<string, unknown>> = {
  [Type in keyof Data]: Handler | HandlerWithOptions<Data[Type]>;
};

/**
 * Sees a copy of an event that somebody else answers, with the guarantees of a {@link Handler} but for its reply: it has
 * none, the copy has no deadline of its sender's, and its failures reach nobody but the log and the dead letters.
 */
export type Observer<Event extends CloudEvent = CloudEvent> = (
  event: Event,
  context: HandlerContext,
) => Promise<ObserverResult | Nothing> | ObserverResult | Nothing;

/** What an observer makes of an event. */
export type ObserverResult = Omit<HandlerResult, 'reply'>;

/** An observer with settings of its own. */
export type ObserverWithOptions<Data = unknown> = Omit<HandlerWithOptions<Data>, 'handle' | 'ordered'> & {
  handle(event: EventWith<Data>, context: HandlerContext): ReturnType<Observer>;
};

/** The observers of a listener, by event type; `Data` as in {@link Handlers}. */
export type Observers<Data extends Record<string, unknown> = Record<string, unknown>> = {
  [Type in keyof Data]: Observer | ObserverWithOptions<Data[Type]>;
};

/**
 * The same handlers, with the data of each typed by its schema. For handlers that stand alone, where their tests find
 * them; `runListener` and `createListener` type those that are written in place.
 */
export function defineHandlers<Data extends Record<string, unknown>>(
  handlers: Handlers<Data>,
): Handlers<Data> {
  return handlers;
}

/** An error that no further attempt would mend. The client is told 502 at once, with this code and message. */
export class TerminalError extends Error {
  readonly code: string;

  /**
   * @param code a short name for programs, such as `card-declined`.
   * @param message for the client's eyes.
   */
  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'TerminalError';
    this.code = code;
  }
}
