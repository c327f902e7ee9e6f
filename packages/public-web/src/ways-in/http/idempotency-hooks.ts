/** The hooks by which HTTP routes honour the `Idempotency-Key` header (`idempotency.ts` says what is promised). */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { createLineLimit, type LineLimit } from '../../core/line-limit.ts';
import type { Idempotency, Run } from '../../idempotency/idempotency.ts';
import type { KeptAnswer, ReplyLocation } from '../../idempotency/idempotency-store.ts';
import { keptUnder } from '../../idempotency/kept-under.ts';
import type { Later } from '../../later/later.ts';
import type { HeldReplies } from '../../replies/held-replies.ts';
import { clientGone } from './client-gone.ts';
import { fingerprintOf, parseIdempotencyKey } from './idempotency-key.ts';
import { preferredDeadlineMs } from './prefer.ts';
import { assertRoom, sendIfAnswered } from './requests.ts';
import { sendExactly } from './send-exactly.ts';

/** What a route needs to honour the header. A request without it passes at the price of looking for it. */
export type IdempotencyHooks = {
  preHandler(request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void;
  onSend(request: FastifyRequest, reply: FastifyReply, payload: unknown, done: SendDone): void;
};

type SendDone = (error: Error | null, payload?: unknown) => void;

/** What a later answer is fetched with; answers are held until their clients have read them. */
type Fetching = { later?: Later | undefined; held: HeldReplies };

const HEADER = 'idempotency-key';
/** What describes the body; other headers belong to one request only. */
const KEPT_HEADER = /^(?:content-type|retry-after|location|preference-applied|ce-.+)$/;

const runs = new WeakMap<FastifyRequest, Run>();

/** Whether others may ask for the answer to `request`, so that it is worth having without its client. */
export function isAwaitedByOthers(request: FastifyRequest): boolean {
  return request.headers[HEADER] !== undefined && runs.has(request);
}

/** Says where the reply to the event of a request with a key will be, should this instance die. */
export function locateReply(request: FastifyRequest, reply: ReplyLocation): void {
  runs.get(request)?.locate(reply);
}

/**
 * Creates the hooks; all routes share one. `deadlineMs` is the longest a client waits. An answer that only says where the
 * answer may be found is replaced by that, once it is there. What is given again costs its client nothing but the asking, so ten
 * lines a second of it are logged at `info`; how many were spared is told in `log`.
 */
export function createIdempotencyHooks(
  idempotency: Idempotency,
  { deadlineMs, log, ...fetching }: { deadlineMs: number; log: Pick<Logger, 'info'> } & Fetching,
): IdempotencyHooks {
  const limit = createLineLimit(log);

  /** The answer to an earlier request; undefined for the first. */
  async function begin(
    request: FastifyRequest,
    reply: FastifyReply,
    header: string | string[],
  ): Promise<KeptAnswer | undefined> {
    const key = keptUnder(request.caller.apiKeyId, parseIdempotencyKey(header));
    const { run, answer } = idempotency.begin({
      key,
      fingerprint: fingerprintOf(request, key),
      waitMs: preferredDeadlineMs(request.headers.prefer, deadlineMs),
      onGone: clientGone(reply),
      // Those who wait may be many, and their bodies large.
      onWaiting: () => {
        request.body = undefined;
      },
      log: request.log,
    });
    if (run) runs.set(request, run);
    return await answer;
  }

  return {
    preHandler(request, reply, done) {
      const header = request.headers[HEADER];
      if (header === undefined) return done();
      begin(request, reply, header)
        .then((answer) => (answer ? answerAgain(reply, answer, { ...fetching, limit }) : done()))
        .catch(done);
    },
    onSend(request, reply, payload, done) {
      const run = request.headers[HEADER] === undefined ? undefined : runs.get(request);
      if (!run) return done(null, payload);
      idempotency.finish(run, toAnswer(reply, payload), request.log).then(() => done(null, payload));
    },
  };
}

/** Counts what it gives again as held until its client has read it: any number may ask, and read nothing. */
async function answerAgain(
  reply: FastifyReply,
  { status, headers, body }: KeptAnswer,
  { limit, ...fetching }: Fetching & { limit: LineLimit },
): Promise<void> {
  assertRoom(fetching.held);
  const level = limit.allows('replayed') ? 'info' : 'debug';
  reply.log[level]({ status }, 'answered as an earlier request with this idempotency key');
  reply.header('idempotency-replayed', 'true');
  const { location } = headers;
  if (status === 504 && location !== undefined && (await sendIfAnswered(reply, location, fetching))) return;
  const { hold, release } = fetching.held.answer();
  clientGone(reply, release);
  const bytes = Buffer.isBuffer(body) ? body : Buffer.from(body);
  hold(bytes.length);
  reply.code(status);
  sendExactly(reply, { headers, body: bytes });
}

function toAnswer(reply: FastifyReply, payload: unknown): KeptAnswer {
  const kept = Object.entries(reply.getHeaders()).filter(([name]) => KEPT_HEADER.test(name));
  const headers = Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
  const body = Buffer.isBuffer(payload) ? payload : String(payload ?? '');
  return { status: reply.statusCode, headers, body };
}
