/**
 * `Idempotency-Key`: requests with the same key have one effect and one answer, within one public-web.
 *
 * | a request whose key | gets |
 * |---|---|
 * | is new | what it leads to; it is not given up when its client goes, for a retry will ask |
 * | is that of a request under way | the answer to that one, or 504 at its own deadline |
 * | is that of one answered within the window | the answer to that one, with `idempotency-replayed: true` |
 * | was used for another body or route | 422 `idempotency-key-reused` |
 *
 * Every answer is kept but those that prove that nothing ran, 503 `not-accepted`, 429 `rate-limited` and 404
 * `unroutable`: there a retry runs. A 504 `outcome-unknown` is kept like any other. Its event may have been handled or may still be, so to run it
 * again under the same key could make two effects; who wants that nevertheless sends the same event id under a new key.
 *
 * Keys belong to the API key they came with; where none is needed, to everybody: there clients must choose keys that
 * nobody guesses, such as random UUIDs.
 *
 * A batch is one request: its answer is kept as it is, also where some of its events were not accepted.
 *
 * With a store that is shared, a key that another instance is at is answered 504 `outcome-unknown`, to be tried again.
 */
import { AppError } from '@waybill/common/errors.ts';
import { problemFor } from '@waybill/common/problem.ts';
import { within } from '@waybill/common/within.ts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { fingerprintOf, parseIdempotencyKey } from '../ways-in/http/idempotency-key.ts';
import { preferredDeadlineMs } from '../ways-in/http/prefer.ts';
import { sendExactly } from '../ways-in/http/send-exactly.ts';
import type { IdempotencyEntry, IdempotencyStore, KeptAnswer } from './idempotency-store.ts';

/** What a route needs to honour the header. A request without it passes at the price of looking for it. */
export type Idempotency = {
  preHandler(request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void): void;
  onSend(request: FastifyRequest, reply: FastifyReply, payload: unknown, done: SendDone): void;
};

type SendDone = (error: Error | null, payload?: unknown) => void;

/** The first request with a key, until it is answered. */
type Run = {
  key: string;
  fingerprint: string;
  /** What the store has under the key; nothing: the key is claimed for this run. */
  kept: Promise<IdempotencyEntry | undefined>;
  hasClaim: boolean;
  answer: Promise<KeptAnswer>;
  resolve(answer: KeptAnswer): void;
};

const HEADER = 'idempotency-key';
/** What describes the body; other headers belong to one request only. */
const KEPT_HEADER = /^(?:content-type|retry-after|ce-.+)$/;
/** Room for a batch of ordinary replies, and 64 of them in the store. */
const MAX_ANSWER_BYTES = 1024 * 1024;
/** By status. A listener's own problem may have the first of these statuses, but none of these codes. */
const NOTHING_RAN: ReadonlyMap<number, string> = new Map([
  [404, 'unroutable'],
  [429, 'rate-limited'],
  [503, 'not-accepted'],
]);

const runs = new WeakMap<FastifyRequest, Run>();

/** Whether others may ask for the answer to `request`, so that it is worth having without its client. */
export function isAwaitedByOthers(request: FastifyRequest): boolean {
  return runs.has(request);
}

/** Creates the hooks; all routes share one. */
export function createIdempotency({
  store,
  deadlineMs,
  maxJoined,
}: {
  store: IdempotencyStore;
  /** The longest a client waits. */
  deadlineMs: number;
  /** Most requests that wait for the answer to another. */
  maxJoined: number;
}): Idempotency {
  const running = new Map<string, Run>();
  let joined = 0;

  /** The answer to an earlier request; undefined for the first. */
  async function begin(
    request: FastifyRequest,
    reply: FastifyReply,
    header: string | string[],
  ): Promise<KeptAnswer | undefined> {
    // The key of another caller is another key. Without API keys all callers are one.
    const key = `${request.caller.apiKeyId ?? ''} ${parseIdempotencyKey(header)}`;
    const fingerprint = fingerprintOf(request);
    const first = running.get(key);
    if (first?.fingerprint === fingerprint) return await join(first, request, reply);
    if (first) return await answerOther(first, fingerprint);
    const { promise: answer, resolve } = Promise.withResolvers<KeptAnswer>();
    const claimed = claim(key, { fingerprint }, request);
    const run: Run = { key, fingerprint, kept: claimed, hasClaim: false, answer, resolve };
    running.set(key, run);
    runs.set(request, run);
    const kept = await claimed;
    run.hasClaim = kept === undefined;
    return kept && answerIn(kept, fingerprint);
  }

  async function claim(
    key: string,
    entry: IdempotencyEntry,
    { log }: FastifyRequest,
  ): Promise<IdempotencyEntry | undefined> {
    try {
      return await store.claim(key, entry);
    } catch (cause) {
      log.error({ err: cause }, 'the store of idempotency keys does not answer');
      throw new AppError('not-accepted', 'the store of idempotency keys does not answer', { cause });
    }
  }

  async function join(run: Run, request: FastifyRequest, { raw }: FastifyReply): Promise<KeptAnswer> {
    if (joined >= maxJoined)
      throw new AppError('outcome-unknown', 'too many requests wait for the answer to another');
    const waitMs = preferredDeadlineMs(request.headers.prefer, deadlineMs);
    // Those who wait may be many, and their bodies large.
    request.body = undefined;
    joined += 1;
    const { promise: gone, resolve: onGone } = Promise.withResolvers<void>();
    raw.once('close', onGone);
    try {
      const isInTime = await within(waitMs, Promise.race([run.answer, gone]));
      if (raw.destroyed) throw new AppError('client-gone', 'the client has gone');
      if (isInTime) return await run.answer;
    } finally {
      joined -= 1;
      raw.off('close', onGone);
    }
    throw new AppError('outcome-unknown', `no answer to the first request within ${waitMs} ms`);
  }

  /** Before the answer goes out, so that whoever has it finds it again. */
  async function finish(run: Run, answer: KeptAnswer, { log }: FastifyRequest): Promise<void> {
    try {
      if (run.hasClaim && provesNothingRan(answer)) await store.release(run.key);
      else if (run.hasClaim)
        await store.keep(run.key, { fingerprint: run.fingerprint, answer: toKeep(answer) });
    } catch (error) {
      log.error({ err: error }, 'an answer is not kept for its idempotency key');
    } finally {
      running.delete(run.key);
      run.resolve(answer);
    }
  }

  return {
    preHandler(request, reply, done) {
      const header = request.headers[HEADER];
      if (header === undefined) return done();
      begin(request, reply, header).then((answer) => (answer ? answerAgain(reply, answer) : done()), done);
    },
    onSend(request, reply, payload, done) {
      const run = request.headers[HEADER] === undefined ? undefined : runs.get(request);
      if (!run) return done(null, payload);
      finish(run, toAnswer(reply, payload), request).then(() => done(null, payload));
    },
  };
}

/** Of two requests that differ the first need not be the key's: what the store has tells. */
async function answerOther(first: Run, fingerprint: string): Promise<KeptAnswer> {
  return answerIn((await first.kept) ?? { fingerprint: first.fingerprint }, fingerprint);
}

function answerIn({ fingerprint, answer }: IdempotencyEntry, expected: string): KeptAnswer {
  assertSame(fingerprint, expected);
  if (!answer)
    throw new AppError('outcome-unknown', 'another instance is at a request with this idempotency key');
  return answer;
}

function assertSame(fingerprint: string, expected: string): void {
  if (fingerprint !== expected)
    throw new AppError('idempotency-key-reused', 'the same Idempotency-Key came with another body or route');
}

function answerAgain(reply: FastifyReply, { status, headers, body }: KeptAnswer): void {
  reply.log.info({ status }, 'answered as an earlier request with this idempotency key');
  reply.code(status).header('idempotency-replayed', 'true');
  sendExactly(reply, { headers, body: Buffer.from(body as string) });
}

function toAnswer(reply: FastifyReply, payload: unknown): KeptAnswer {
  const kept = Object.entries(reply.getHeaders()).filter(([name]) => KEPT_HEADER.test(name));
  const headers = Object.fromEntries(kept.map(([name, value]) => [name, String(value)]));
  const body = Buffer.isBuffer(payload) ? payload : String(payload ?? '');
  return { status: reply.statusCode, headers, body };
}

function provesNothingRan({ status, body }: KeptAnswer): boolean {
  const code = NOTHING_RAN.get(status);
  return code !== undefined && JSON.parse(String(body)).code === code;
}

/** One effect is promised even where its answer is too large to give again. */
function toKeep(answer: KeptAnswer): KeptAnswer {
  if (Buffer.byteLength(answer.body) <= MAX_ANSWER_BYTES) return answer;
  const problem = problemFor('outcome-unknown', 'it was answered, but the answer was too large to be kept');
  const headers = { 'content-type': 'application/problem+json' };
  return { status: problem.status, headers, body: JSON.stringify(problem) };
}
