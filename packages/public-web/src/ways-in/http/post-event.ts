/**
 * `POST /` and `POST /events`: an event in, its reply out, in the mode it came in; and `/ping`, which makes the event.
 */
import { randomUUID } from 'node:crypto';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { sendProblemBody } from '@waybill/common/http/http-server.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { admitBatch } from '../../admission/admit-batch.ts';
import {
  type Answer,
  type AnswerEvent,
  answerBatch,
  isNoContent,
  type Requester,
  toReplyEvent,
} from '../../core/answer-event.ts';
import { PUBLIC_WEB_SOURCE } from '../../core/source.ts';
import type { HeldReplies } from '../../replies/held-replies.ts';
import { clientGone } from './client-gone.ts';
import {
  decodeRequest,
  type EncodedResponse,
  encodeBatchResponse,
  encodeResponse,
  type HttpMode,
} from './event-http.ts';
import { preferredDeadlineMs } from './prefer.ts';
import { sendExactly } from './send-exactly.ts';

export type PostEventOptions = {
  answerEvent: AnswerEvent;
  held: HeldReplies;
  /** The longest a client waits. */
  deadlineMs: number;
};

/** The handler of `POST /` and `POST /events`. */
export function createPostEvent(options: PostEventOptions) {
  const { answerEvent } = options;
  return async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0);
    const decoded = decodeRequest({ headers: request.headers, body }, PUBLIC_WEB_SOURCE, (count) =>
      admitBatch(request.caller, count),
    );
    if (decoded.mode === 'batched') {
      const { events } = decoded;
      const answers = await answerBatch(answerEvent, events, toRequester(reply, events.length, options));
      return send(reply, encodeBatchResponse(answers.map(toReplyEvent)));
    }
    const [event] = decoded.events;
    return sendAnswer(reply, decoded.mode, await answerEvent(event, toRequester(reply, 1, options)));
  };
}

/** The handler of `GET /ping` and `POST /ping`. */
export function createPing(options: PostEventOptions) {
  return async (_request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const event: CloudEvent = {
      specversion: '1.0',
      id: randomUUID(),
      source: PUBLIC_WEB_SOURCE,
      type: 'PingRequest',
      data: { sentAt: Date.now() },
    };
    return sendAnswer(reply, 'plain', await options.answerEvent(event, toRequester(reply, 1, options)));
  };
}

/** Who asks for the answers to `count` events. */
function toRequester(reply: FastifyReply, count: number, { held, deadlineMs }: PostEventOptions): Requester {
  const { headers, body, caller, log } = reply.request;
  const waitMs = preferredDeadlineMs(headers.prefer, deadlineMs);
  if (waitMs < deadlineMs) reply.header('preference-applied', `wait=${waitMs / 1000}`);
  const { hold, release } = held.answer();
  const client = { hold, onGone: clientGone(reply, release) };
  const bytes = Buffer.isBuffer(body) ? body.length / count : 0;
  return { caller, log, client, deadlineMs: waitMs, bytes };
}

function sendAnswer(reply: FastifyReply, mode: Exclude<HttpMode, 'batched'>, answer: Answer): FastifyReply {
  if (answer.problem) return sendProblemBody(reply, answer.problem);
  // An event of its own type would be news to clients that know only the types of their replies.
  if (isNoContent(answer)) return reply.code(204).send();
  return send(reply, encodeResponse(mode, answer.reply, answer.id));
}

function send(reply: FastifyReply, { headers, body }: EncodedResponse): FastifyReply {
  if (Buffer.isBuffer(body)) return sendExactly(reply, { headers, body });
  return reply.headers(headers).send(body);
}
