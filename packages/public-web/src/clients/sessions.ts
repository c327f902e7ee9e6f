/**
 * Clients that stay. A client attaches with an id of its own; from then on its events are taken under the slots of a fence,
 * and whatever is in its mailbox, which a store keeps, is handed to it in order. When it comes back, to whichever
 * instance and by whichever way in, it brings its last token and goes on behind that.
 *
 * Nothing here knows by what transport a client came: a way in gives a {@link Sink}, and gets a {@link Session}.
 *
 * @example
 * const session = await sessions.attach({ client, apiKeyId: caller.apiKeyId, after, sink: {
 *   take: (entry, written) => call.write(toResponse(entry), () => { written(); session.acknowledge(entry.token); }),
 *   end: (reason) => call.end(reason),
 * } });
 * for await (const request of call) await session.send(toEvent(request), { caller, log });
 * if (await session.answered()) call.end(); // the client has closed its half
 * await session.close(); // the call has ended
 */
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { Logger } from 'pino';
import type { Caller } from '../admission/admission.ts';
import type { Room } from './room.ts';

/** The type of the event that says what a client has missed for good; its data is `{from, to}`, two tokens. */
export const GAP_TYPE = 'waybill.Gap';

/** What a client is handed: the result of one of its events, or a {@link GAP_TYPE}. */
export type Entry = {
  /** `<epoch>.<offset>`: with it the client says that it has all up to here. */
  token: string;
  /** The reply, without what is internal; or a `waybill.Problem`, whose data is RFC 9457's; or a `waybill.Gap`. */
  event: CloudEvent;
  /** The id of the event that it answers. Unknown for a gap, and where the instance that took the event died with it. */
  requestId: string | undefined;
  /** The trace of that event, where telemetry is on. */
  traceparent: string | undefined;
};

/**
 * Why a session ended that its way in has not closed:
 * - `taken-over`: the client, or another one of its name and API key, has attached once more.
 * - `lost`: the store has lost the mailbox, or gone back to an older state. Attached again, the client hears what is missing.
 * - `stopping`: this instance stops; the client comes back to another one.
 */
export type EndReason = 'taken-over' | 'lost' | 'stopping';

/** The client's end of a session, as its way in makes it. Neither function may throw. */
export type Sink = {
  /**
   * Takes an entry: each once in a session, in the order of the mailbox, the first not before `attach` has resolved.
   * `written` is to be called when it has left for the client; while too much has not, no more is handed over.
   */
  take(entry: Entry, written: () => void): void;
  /** The session is over: the way in closes the connection. Nothing follows. Never called after `close`. */
  end(reason: EndReason): void;
};

/** One client's session, from `attach` until `close`, or until its sink is told that it ended. */
export type Session = {
  /** The token from which it goes on. */
  readonly token: string;
  /** How many entries there were behind it already. */
  readonly backlog: number;
  /** Whether all that came after the client's token will be handed over; false without a token, and after a gap. */
  readonly recovered: boolean;
  /**
   * Takes an event under the next slot and sends it. Its result is handed over in the order of the events that were taken,
   * and so is the problem of one that is refused, unroutable or failed, or that has no reply by its deadline.
   *
   * Resolves when another event may be sent: not while 256 are unanswered, or the rate of its caller is used up. To be called
   * one at a time, or the order is any.
   *
   * @throws AppError without taking it: `mailbox-full` (429) until the client has acknowledged some of what it has;
   *   `not-accepted` (503) when the session is over.
   */
  send(event: CloudEvent, requester: Requester): Promise<void>;
  /**
   * The client has all up to this token: it is removed from the mailbox, and more may be handed over (256 entries or 1 MiB are,
   * unacknowledged). One that was acknowledged before is no error.
   *
   * @throws AppError `invalid-request` for what is no token that was handed over.
   */
  acknowledge(token: string): void;
  /**
   * Resolves with true when each event that was sent has had its result handed over; with false when the session is over before.
   */
  answered(): Promise<boolean>;
  /** Whether nothing more is handed over: it was closed, or its sink is told why at the latest in the next turn of the event loop. */
  isOver(): boolean;
  /** The client has gone. What it has sent goes on, and what comes of it waits in the mailbox. Never rejects. */
  close(): Promise<void>;
};

/** Who sends. */
export type Requester = {
  caller: Pick<Caller, 'assertMaySend' | 'countEvent'>;
  log: Pick<Logger, 'info' | 'debug' | 'error'>;
};

/** The sessions of one instance. */
export type Sessions = {
  /**
   * Attaches a client, which ends its session before, wherever that is: here at once, elsewhere within a second or two.
   *
   * @param after the last token that the client has, if any: without one it gets all that is kept.
   * @throws AppError `invalid-request` for what is no id (1 to 128 letters, digits, and `_ . : -`) or no token;
   *   `not-accepted` (503) when no store answers, too many clients are connected, or this instance stops; `client-gone`.
   */
  attach(options: {
    client: string;
    /** The id of the key that it came with. Each key has clients of its own: nobody attaches as another's. */
    apiKeyId: string | undefined;
    after?: string | undefined;
    sink: Sink;
    /** Where each event takes a place until its result is known: {@link Session.send} waits for it. Default: there is room for all. */
    room?: Room | undefined;
    /** Whether the client has given up: asked before a store is, so that it takes nothing from where it has gone. Default: it stays. */
    isGone?: (() => boolean) | undefined;
  }): Promise<Session>;
  size(): number;
  /** Ends all sessions, and attaches no more; resolves when the outcome of each event that was sent is known to the store. */
  drain(): Promise<void>;
};
