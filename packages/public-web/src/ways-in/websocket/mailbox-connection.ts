/**
 * The WebSocket of a client that stays: as `connection.ts`, but results come from its mailbox, in the order of its events,
 * each with the `token` from which the client goes on when it connects again.
 *
 * A client that has asked for it acknowledges what it has, by `{"type":"waybill.Ack","token":…}`. For any other the connection
 * does: a ping that carries a token comes back as a pong behind all that was sent before it.
 */
import { AppError } from '@waybill/common/errors.ts';
import { EVENT_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { parseJson } from '@waybill/common/event/parse-json.ts';
import { toProblem } from '@waybill/common/problem.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import type { Caller } from '../../admission/admission.ts';
import { toMessage } from '../../clients/entry.ts';
import type { EndReason, Session, Sessions, Sink } from '../../clients/sessions.ts';
import { toReplyEvent } from '../../core/answer-event.ts';
import { PUBLIC_WEB_SOURCE } from '../../core/source.ts';
import { decodeRequest } from '../http/event-http.ts';
import { CLOSE } from './close-codes.ts';
import type { Connection } from './connection.ts';
import { createSocketWatch, endSocket } from './socket-watch.ts';

/** The type of the message by which a client acknowledges; one has no more than so many bytes. */
const ACK_TYPE = 'waybill.Ack';
const MAX_ACK_BYTES = 512;
/** What a client that has asked for it is sent at once, and at each check: pages are not told of pings, and learn by it that the connection is. */
const HEARTBEAT = JSON.stringify({ type: 'waybill.Heartbeat' });

const CLOSED_WITH: Record<EndReason, [code: number, reason: string]> = {
  'taken-over': [CLOSE.takenOver, 'the client has connected once more'],
  lost: [CLOSE.serviceRestart, 'the mailbox was lost; connect again'],
  stopping: [CLOSE.serviceRestart, 'this instance stops; connect again'],
};

export type MailboxClient = {
  client: string;
  after: string | undefined;
  /** Whether the client acknowledges by itself. */
  isAcknowledging: boolean;
  /** Whether it wants to be sent something at once, and every 30 s. */
  hasHeartbeats: boolean;
  /** Whether it has given up before it has a socket. */
  isGone(): boolean;
  caller: Caller;
  log: Pick<Logger, 'info' | 'debug' | 'error'>;
};

/** A client that is attached, and has no socket yet. */
export type AttachedClient = {
  /** To be called in the same turn of the event loop, or something may be missed. */
  serve(socket: WebSocket): Connection;
  /** There will be none. */
  abandon(): void;
};

/**
 * Attaches a client that asks for a WebSocket, before it has one, so that it can still be refused.
 *
 * @throws AppError as {@link Sessions.attach} does.
 */
export async function attachWebSocket(sessions: Sessions, options: MailboxClient): Promise<AttachedClient> {
  const { client, after, caller, isGone } = options;
  let sink: Sink | undefined;
  const session = await sessions.attach({
    client,
    apiKeyId: caller.apiKeyId,
    after,
    sink: {
      take: (entry, written) => sink?.take(entry, written),
      end: (reason) => sink?.end(reason),
    },
    isGone,
  });
  return {
    serve(socket) {
      const served = serveMailbox(socket, session, options);
      sink = served.sink;
      return served.connection;
    },
    abandon: () => void session.close(),
  };
}

function serveMailbox(
  socket: WebSocket,
  session: Session,
  { isAcknowledging, hasHeartbeats, caller, log }: MailboxClient,
): { sink: Sink; connection: Connection } {
  const watch = createSocketWatch(socket);
  const unread: Buffer[] = [];
  let isTaking = false;
  /** The last that was sent; and the one that a ping carries, until it comes back. */
  let lastToken = session.token;
  let receivedToken = session.token;
  let pingedToken: string | undefined;

  socket.on('message', (data, isBinary) => {
    // What comes behind our close frame is read for the client's own, and answered by nobody.
    if (socket.readyState !== socket.OPEN) return;
    if (isBinary) return endSocket(socket, CLOSE.unsupportedData, 'events are text messages');
    unread.push(data as Buffer);
    if (!isTaking) void takeMessages();
  });
  socket.on('pong', (data) => {
    if (pingedToken === undefined || String(data) !== pingedToken) return;
    receivedToken = pingedToken;
    pingedToken = undefined;
    try {
      session.acknowledge(receivedToken);
    } catch {
      // The store has lost it: the session ends by itself.
    }
    askForReceipt();
  });
  socket.on('close', () => {
    unread.length = 0;
    void session.close();
  });
  // What is no WebSocket, or too large, `ws` has told the client by the code it closes with.
  socket.on('error', () => {});

  /** One after the other; nothing more is read while one has to wait. */
  async function takeMessages(): Promise<void> {
    isTaking = true;
    socket.pause();
    for (let body = unread.shift(); body; body = unread.shift()) await takeMessage(body);
    isTaking = false;
    socket.resume();
  }

  async function takeMessage(body: Buffer): Promise<void> {
    let requestid: string | undefined;
    try {
      const token = acknowledgedBy(body);
      if (token !== undefined) return session.acknowledge(token);
      const headers = { 'content-type': EVENT_CONTENT_TYPE };
      const [event] = decodeRequest({ headers, body }, PUBLIC_WEB_SOURCE).events;
      if (!event || event instanceof AppError) throw event;
      requestid = event.id;
      await session.send(event, { caller, log });
    } catch (thrown) {
      const error = toPublicError(thrown, log);
      const problem = toProblem(error, requestid === undefined ? undefined : { event_id: requestid });
      await tell(JSON.stringify(toReplyEvent({ id: requestid ?? '', problem })));
    }
  }

  /** Of a client that reads nothing, nothing more is read. */
  function tell(text: string): Promise<void> {
    return new Promise((resolve) => {
      socket.once('close', resolve);
      watch.send(text, () => {
        socket.off('close', resolve);
        resolve();
      });
    });
  }

  function beat(): void {
    if (hasHeartbeats && socket.readyState === socket.OPEN) watch.send(HEARTBEAT, () => {});
  }

  function askForReceipt(): void {
    if (isAcknowledging || pingedToken !== undefined || lastToken === receivedToken) return;
    pingedToken = lastToken;
    socket.ping(pingedToken);
  }

  // At once, so that the client knows that they come.
  beat();
  return {
    sink: {
      take(entry, written) {
        lastToken = entry.token;
        watch.send(JSON.stringify(toMessage(entry)), written);
        askForReceipt();
      },
      end(reason) {
        endSocket(socket, ...CLOSED_WITH[reason]);
        // For the client's close frame.
        socket.resume();
      },
    },
    connection: {
      // When the instance stops, sessions end by themselves.
      drain() {},
      check() {
        watch.check();
        beat();
      },
    },
  };
}

/** The token that a message acknowledges; undefined when it is something else. */
function acknowledgedBy(body: Buffer): string | undefined {
  if (body.length > MAX_ACK_BYTES || !body.includes(ACK_TYPE)) return undefined;
  const { type, token } = parseJson(body) as { type?: unknown; token?: unknown };
  return type === ACK_TYPE ? String(token) : undefined;
}
