/**
 * One client's WebSocket, by the CloudEvents WebSockets binding: each text message is an event in the JSON format. Many
 * may be under way at once; an answer names its event by `requestid` and comes as soon as it is known.
 *
 * A client is slowed down rather than refused: nothing is read from it while too many of its events are unanswered, its
 * rate is used up, or it does not read its answers.
 */
import { AppError } from '@waybill/common/errors.ts';
import { EVENT_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import { toProblem } from '@waybill/common/problem.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import type { Logger } from 'pino';
import type { WebSocket } from 'ws';
import type { Caller } from '../../admission/admission.ts';
import { type AnswerEvent, toReplyEvent } from '../../core/answer-event.ts';
import { PUBLIC_WEB_SOURCE } from '../../core/source.ts';
import type { HeldReplies } from '../../replies/held-replies.ts';
import { decodeRequest } from '../http/event-http.ts';
import { CLOSE } from './close-codes.ts';
import { createSocketWatch, endSocket } from './socket-watch.ts';

/** Most events of a client that wait for their answers, as many as a batch by HTTP has. */
const MAX_UNANSWERED = 256;
/** From here on, of replies that are kept or of answers that are not read, no more events are taken. */
const FULL_BYTES = 256 * 1024;
/** Most bytes of answers that a client has not read; one that would be more is not kept, and its event answered 504. */
const MAX_UNREAD_BYTES = 4 * 1024 * 1024;

export type ConnectionOptions = {
  answerEvent: AnswerEvent;
  held: HeldReplies;
  caller: Caller;
  log: Pick<Logger, 'info' | 'debug' | 'error'>;
  /** How long an event waits for its answer at most. */
  deadlineMs: number;
};

export type Connection = {
  /** Reads no more events, answers those that were read, and tells the client to come back elsewhere (1012). */
  drain(): void;
  /** Asks whether the client is there; ends the connection of one that has not answered the last time, or reads nothing. */
  check(): void;
};

/** Serves the client of `socket` until either side closes. */
export function serveWebSocket(
  socket: WebSocket,
  { answerEvent, held, caller, log, deadlineMs }: ConnectionOptions,
): Connection {
  const unread: Buffer[] = [];
  const waiting = new Set<() => void>();
  let unanswered = 0;
  let heldBytes = 0;
  let isDraining = false;
  let rateTimer: NodeJS.Timeout | undefined;
  const watch = createSocketWatch(socket);

  socket.on('message', (data, isBinary) => {
    // What comes behind our close frame is read for the client's own, and answered by nobody.
    if (socket.readyState !== socket.OPEN) return;
    if (isBinary) return endSocket(socket, CLOSE.unsupportedData, 'events are text messages');
    unread.push(data as Buffer);
    takeEvents();
  });
  socket.on('close', () => {
    clearTimeout(rateTimer);
    unread.length = 0;
    for (const giveUp of waiting) giveUp();
  });
  // What is no WebSocket, or too large, `ws` has told the client by the code it closes with.
  socket.on('error', () => {});

  /** Takes what has been read, as far as there is room; what is left keeps more from being read. */
  function takeEvents(): void {
    if (socket.readyState !== socket.OPEN) return;
    while (unread.length > 0 && hasRoom() && hasRate()) void answer(unread.shift() as Buffer);
    const isDone = unread.length === 0 && unanswered === 0;
    if (isDraining && isDone) endSocket(socket, CLOSE.serviceRestart, 'this instance stops; connect again');
    // Closing too needs to be read: for the client's close frame.
    if (unread.length > 0 || (isDraining && !isDone)) socket.pause();
    else socket.resume();
  }

  function hasRoom(): boolean {
    return unanswered < MAX_UNANSWERED && heldBytes < FULL_BYTES && socket.bufferedAmount < FULL_BYTES;
  }

  function hasRate(): boolean {
    if (rateTimer) return false;
    try {
      caller.countEvent();
      return true;
    } catch (error) {
      const { retryAfterMs = 1_000 } = error as AppError;
      rateTimer = setTimeout(() => {
        rateTimer = undefined;
        takeEvents();
      }, retryAfterMs);
      return false;
    }
  }

  async function answer(body: Buffer): Promise<void> {
    unanswered++;
    const { text, release } = await answerMessage(body);
    unanswered--;
    watch.send(text, () => {
      release();
      takeEvents();
    });
    takeEvents();
  }

  /** The answer to what a client sent, as its text; to be released once the client has it. */
  async function answerMessage(body: Buffer): Promise<{ text: string; release(): void }> {
    const kept = held.answer();
    let keptBytes = 0;
    let giveUp: (() => void) | undefined;
    const client = {
      hold(bytes: number) {
        if (heldBytes > 0 && heldBytes + bytes > MAX_UNREAD_BYTES) return false;
        if (!kept.hold(bytes)) return false;
        heldBytes += bytes;
        keptBytes += bytes;
        return true;
      },
      onGone(fn: () => void) {
        giveUp = fn;
        if (socket.readyState === socket.OPEN) waiting.add(fn);
        else fn();
      },
    };
    const release = () => {
      heldBytes -= keptBytes;
      kept.release();
    };
    try {
      const [event] = decodeRequest(
        { headers: { 'content-type': EVENT_CONTENT_TYPE }, body },
        PUBLIC_WEB_SOURCE,
      ).events;
      if (!event || event instanceof AppError) throw event;
      const { id } = event;
      const answered = await answerEvent(event, {
        client,
        caller,
        log,
        deadlineMs,
        bytes: body.length,
        series: socket,
      });
      const traceresponse = event.traceparent;
      return { text: JSON.stringify({ ...toReplyEvent(answered), requestid: id, traceresponse }), release };
    } catch (thrown) {
      const problem = toProblem(toPublicError(thrown, log));
      return { text: JSON.stringify(toReplyEvent({ id: '', problem })), release };
    } finally {
      if (giveUp) waiting.delete(giveUp);
    }
  }

  return {
    drain() {
      isDraining = true;
      takeEvents();
    },
    check: watch.check,
  };
}
