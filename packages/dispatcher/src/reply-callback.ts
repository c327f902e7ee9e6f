/**
 * Delivers replies to public-web instances, each on a lane of its own, so that no address delays another.
 *
 * A lane has at most 4 calls under way, and batches what waits. When a call fails the address counts as failing:
 * its replies are turned away at once (the caller sets them aside in the broker), but for one at a time that finds out
 * whether it answers again.
 */
import { type Batcher, createBatcher } from '@waybill/common/batch.ts';
import { HTTP_MAX_EVENTS, MAX_BATCH_BYTES, MAX_BATCHES_IN_FLIGHT } from '@waybill/common/batch-limits.ts';
import { type EncodedEvent, encodeBatch } from '@waybill/common/event/event-json.ts';
import { createCallTier } from '@waybill/common/internal-call/call-tier.ts';
import type { ClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import type { Key } from '@waybill/common/internal-call/internal-keys.ts';
import type { ReplyAddress } from '@waybill/common/internal-call/reply-address.ts';
import { isBodyAtFault } from '@waybill/common/problem.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import { batchSize } from '@waybill/common/telemetry/metrics.ts';
import type { Logger } from 'pino';
import { Agent } from 'undici';

/** For a small call. */
const CALL_TIMEOUT_MS = 1_000;
/** Replies waiting on one lane: a second's worth at full rate. More are set aside. */
const MAX_QUEUED = 4_096;
const FORGET_EVERY_MS = 60_000;

/**
 * `delivered`: public-web took it. `gone`: nobody waits for it, drop it. `refused`: public-web cannot read this very
 * reply, and never will. `failing`: the address does not answer now. `busy`: it answers, but takes no replies for the
 * moment.
 */
export type CallbackOutcome = 'delivered' | 'gone' | 'refused' | 'failing' | 'busy';

export type ReplyCallback = {
  /** Delivers one reply to `address`. Never rejects. */
  deliver(address: ReplyAddress, reply: EncodedEvent): Promise<CallbackOutcome>;
  close(): Promise<void>;
};

type Lane = {
  url: URL;
  instance: string;
  batcher: Batcher<EncodedEvent, CallbackOutcome>;
  isFailing: boolean;
  isProbing: boolean;
  /** Another instance answered at its address. */
  isElsewhere: boolean;
  /** How the last call ended, for the log. */
  reason: string;
  /** When the last address seen for it expires: then nothing more can come. */
  expMs: number;
};

/** Creates the {@link ReplyCallback} of one dispatcher. */
export function createReplyCallback({
  keys,
  clock,
  log,
}: {
  keys: Key[];
  clock: ClockCheck;
  log: Logger;
}): ReplyCallback {
  const lanes = new Map<string, Lane>();
  const callTier = createCallTier({ keys, clock });
  const connections = new Agent({
    connections: MAX_BATCHES_IN_FLIGHT,
    connect: { timeout: CALL_TIMEOUT_MS },
  });
  const timer = setInterval(forgetExpiredLanes, FORGET_EVERY_MS);
  timer.unref();

  function laneFor({ instance, url, expMs }: ReplyAddress): Lane {
    // By both: an instance that is given its id from outside keeps it when it starts anew at another address.
    const key = `${instance} ${url}`;
    const existing = lanes.get(key);
    if (existing) {
      existing.expMs = Math.max(existing.expMs, expMs);
      return existing;
    }
    const lane: Lane = {
      url: new URL(url),
      instance,
      isFailing: false,
      isProbing: false,
      isElsewhere: false,
      reason: '',
      expMs,
      batcher: createBatcher({
        maxItems: HTTP_MAX_EVENTS,
        maxBytes: MAX_BATCH_BYTES,
        maxInFlight: () => MAX_BATCHES_IN_FLIGHT,
        maxQueued: MAX_QUEUED,
        // What queued up before the address failed is turned away with the rest.
        send: async (replies) => (lane.isFailing ? replies.map(() => 'failing') : call(lane, replies)),
      }),
    };
    lanes.set(key, lane);
    return lane;
  }

  async function call(lane: Lane, replies: EncodedEvent[]): Promise<CallbackOutcome[]> {
    batchSize.record(replies.length, { hop: 'callback' });
    let outcomes = await post(lane, replies);
    // Which of them is at fault shows when each goes alone.
    if (replies.length > 1 && outcomes.includes('refused'))
      outcomes = (await Promise.all(replies.map((reply) => post(lane, [reply])))).flat();
    const isFailing = outcomes.includes('failing');
    const { url, reason } = lane;
    if (isFailing !== lane.isFailing)
      log[isFailing ? 'warn' : 'info']({ url: url.href, isFailing, reason }, 'reply address');
    lane.isFailing = isFailing;
    return outcomes;
  }

  /** One at a time. */
  async function probe(lane: Lane, reply: EncodedEvent): Promise<CallbackOutcome> {
    if (lane.isProbing) return 'failing';
    lane.isProbing = true;
    try {
      const [outcome = 'failing'] = await call(lane, [reply]);
      return outcome;
    } finally {
      lane.isProbing = false;
    }
  }

  async function post(lane: Lane, replies: EncodedEvent[]): Promise<CallbackOutcome[]> {
    const { origin, pathname: path } = lane.url;
    const body = encodeBatch(replies);
    const parse = toUnknownIds;
    const answer = await callTier({ connections, origin, path, body, timeoutMs: CALL_TIMEOUT_MS, parse });
    if (answer.kind === 'failed') {
      lane.reason = answer.error.message;
      log.debug({ url: lane.url.href, err: answer.error }, 'callback failed');
      return replies.map(() => 'failing');
    }
    if (answer.kind === 'answered') {
      lane.reason = 'it answered 200';
      return replies.map(({ event }) =>
        answer.answer.has(event.correlationid ?? '') ? 'gone' : 'delivered',
      );
    }
    lane.reason = `it answered ${answer.status}`;
    if (answer.status === 410) noteElsewhere(lane);
    const outcome = toOutcome(answer.status, answer.problem.code);
    return replies.map(() => outcome);
  }

  /** Once: an instance that was replaced has its last replies come here, but one with a wrong INTERNAL_URL all of them. */
  function noteElsewhere(lane: Lane): void {
    if (!lane.isElsewhere)
      log.warn(
        { url: lane.url.href, instance: lane.instance },
        'replies dropped: another instance is at their address (setting INTERNAL_URL of public-web)',
      );
    lane.isElsewhere = true;
  }

  function forgetExpiredLanes(): void {
    for (const [key, lane] of lanes) if (lane.expMs < Date.now() && lane.batcher.isIdle()) lanes.delete(key);
  }

  return {
    async deliver(address, reply) {
      try {
        const lane = laneFor(address);
        if (lane.isFailing) return await probe(lane, reply);
        return (await lane.batcher.add(reply, reply.bytes)) ?? 'failing';
      } catch (thrown) {
        toPublicError(thrown, log, { event_id: reply.event.id });
        return 'failing';
      }
    },
    async close() {
      clearInterval(timer);
      await connections.close();
    },
  };
}

/**
 * 410: the instance is another one now, so whoever waited is gone. A problem of public-web's own with the batch will not
 * pass; anything else may.
 */
function toOutcome(status: number, code: string | undefined): CallbackOutcome {
  if (status === 410) return 'gone';
  if (code === 'not-accepted') return 'busy';
  return isBodyAtFault(status, code) ? 'refused' : 'failing';
}

/** The correlation ids nobody waits for. */
function toUnknownIds(body: string): ReadonlySet<string> {
  const { unknown } = JSON.parse(body) as { unknown?: string[] };
  if (!Array.isArray(unknown)) throw new Error('the answer is not that of a public-web');
  return new Set(unknown);
}
