/** A connection of a client that stays, as its user sees it. */
import type { Problem, Reply, RequestOptions } from './request.ts';

/**
 * It is opened, and opened again when it was lost, by itself; what comes from the mailbox goes on where it was.
 *
 * Requests of a connection are sent in the order of the calls.
 */
export type Connection = {
  /** The client's id. */
  readonly client: string;
  readonly state: ConnectionState;
  /**
   * Sends an event, now or as soon as there is a connection, and resolves with its reply. What was lost with a connection before
   * public-web took it is sent again, under the same id. An answer that comes when nobody waits for it any more is one for `onEvent`.
   *
   * @throws RequestFailed when there is none; the reason of `options.signal`; TypeError while one of the same id is under way, or
   * when `data` is none in JSON; RangeError when timers cannot wait for `options.timeoutMs`.
   */
  request<Data = unknown>(type: string, data?: unknown, options?: RequestOptions): Promise<Reply<Data>>;
  /** Resolves once it is over: with why, or undefined after `close`. */
  readonly closed: Promise<ConnectionFailed | undefined>;
  /**
   * Takes no more requests, waits until those that were made have ended and `onEvent` is done with what has come, acknowledges that,
   * and ends the connection.
   */
  close(): Promise<void>;
};

/** What comes from the mailbox: a CloudEvent, with its place there. */
export type MailboxEvent<Data = unknown> = {
  id: string;
  /** `waybill.Problem` for one that failed, `waybill.Gap` for what is lost: its data is `{from, to}`, two tokens. */
  type: string;
  data: Data;
  /** From which a later connection can go on (`after`), so that it gets what comes behind this. */
  token: string;
  /** The id of the event that it answers, where there is one. */
  requestid?: string;
  [attribute: string]: unknown;
};

/** How a connection is. `standby`: another tab, or another connection of this one, holds the client. */
export type ConnectionState =
  | { name: 'standby' | 'connecting' }
  | { name: 'connected'; via: 'websocket' | 'event-stream' }
  | { name: 'closed'; error?: ConnectionFailed };

export type ConnectOptions = {
  /**
   * The client's id, which names its mailbox: 1 to 128 letters, digits, and `_ . : -`. Without keys whoever knows it reads the
   * mailbox. Default: a random one, for a client that does not come back once it is closed.
   */
  client?: string;
  /** The token from which to go on. Default: from the first that was not acknowledged. */
  after?: string;
  /**
   * Takes what comes from the mailbox, in order, except the answers to requests of this connection that are waited for: one after the
   * other, each acknowledged once what this returns has resolved. A failure ends the connection, and it comes again to the next one.
   */
  onEvent?(event: MailboxEvent): unknown;
  /** Told of each change. */
  onState?(state: ConnectionState): void;
  /** Gets a ticket (`POST /tickets`) for a page that has no key of its own. Then nothing but WebSockets is used. */
  ticket?(): string | Promise<string>;
};

/** Why a connection was ended that nobody closed; `cause` is what `onEvent` has thrown, if it was that. */
export class ConnectionFailed extends Error {
  /** Code `taken-over` when the client has connected elsewhere, `event-failed` by `onEvent`, else as public-web says. */
  readonly problem: Problem;

  constructor(problem: Problem, cause?: unknown) {
    super(`${problem.code}: ${problem.detail ?? problem.title}`, { cause });
    this.name = 'ConnectionFailed';
    this.problem = problem;
  }
}
