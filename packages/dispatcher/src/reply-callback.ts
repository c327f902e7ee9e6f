/** Delivers replies to public-web instances, by calls of their `/dispatch`. */

import { createBoundedCache } from '@waybill/common/bounded-cache.ts';
import { type EncodedEvent, encodeBatch, encodeEvent } from '@waybill/common/event/event-json.ts';
import { createCallTier, type TierAnswer } from '@waybill/common/internal-call/call-tier.ts';
import { isKept, toCallbackAddress } from '@waybill/common/internal-call/callback-address.ts';
import type { ClockCheck } from '@waybill/common/internal-call/clock-check.ts';
import type { Key } from '@waybill/common/internal-call/internal-keys.ts';
import { PROGRESS_TYPE } from '@waybill/common/internal-call/progress.ts';
import type { ReplyAddress } from '@waybill/common/internal-call/reply-address.ts';
import { CALLBACK_CHECK_TYPE } from '@waybill/common/internal-call/troubles.ts';
import { isBodyAtFault } from '@waybill/common/problem.ts';
import { batchSize } from '@waybill/common/telemetry/metrics.ts';
import type { Logger } from 'pino';
import { Agent } from 'undici';
import type { Deliverer, DeliveryOutcome } from './deliverer.ts';
import type { SentBatch } from './lane.ts';
import { createLanes, MAX_CALLS_PER_ADDRESS, type Target } from './lanes.ts';

/** For a small call. */
const CALL_TIMEOUT_MS = 1_000;

/** Replies that a store has, and whose address is tried again once a second: remembered for twice the longest usual deadline. */
const MAX_KEPT = 10_000;
const KEPT_MS = 120_000;

const CALLBACK_CHECK = {
  specversion: '1.0',
  id: 'callback-check',
  source: '/waybill/dispatcher',
  type: CALLBACK_CHECK_TYPE,
} as const;

/**
 * Creates the {@link Deliverer} of addresses of the kind `callback`. What comes too late for the request that waited goes to `later`,
 * where there is a store, and so does what others may ask for when its instance does not take it.
 */
export function createReplyCallback({
  keys,
  clock,
  later,
  log,
}: {
  keys: Key[];
  clock: ClockCheck;
  later?: Pick<Deliverer, 'deliver'>;
  log: Logger;
}): Deliverer & {
  /** Calls the address whose token is `replyto`, with nothing for anybody; resolves with why it cannot be called. */
  check(address: ReplyAddress, replyto: string): Promise<string | undefined>;
} {
  const callTier = createCallTier({ keys, clock });
  const connections = new Agent({
    connections: MAX_CALLS_PER_ADDRESS,
    connect: { timeout: CALL_TIMEOUT_MS },
  });
  const kept = createBoundedCache<object>({ windowMs: KEPT_MS, maxEntries: MAX_KEPT, bytesOf: () => 1 });
  const lanes = createLanes({
    // By both: an instance that is given its id from outside keeps it when it starts anew at another address.
    keyOf: ({ instance, url }) => `${instance} ${url}`,
    open,
    log,
  });

  function open(address: ReplyAddress): Target {
    const { url, instance } = toCallbackAddress(address);
    const { origin, pathname: path, href } = new URL(url);
    let isElsewhere = false;

    async function send(replies: EncodedEvent[]): Promise<SentBatch> {
      batchSize.record(replies.length, { hop: 'callback' });
      const body = encodeBatch(replies);
      const parse = toTaken;
      const answer = await callTier({ connections, origin, path, body, timeoutMs: CALL_TIMEOUT_MS, parse });
      if (answer.kind === 'failed') log.debug({ url: href, err: answer.error }, 'callback failed');
      if (answer.kind === 'refused' && answer.status === 410) noteElsewhere();
      return toSentBatch(answer, replies);
    }

    /** Once: an instance that was replaced has its last replies come here, but one with a wrong INTERNAL_URL all of them. */
    function noteElsewhere(): void {
      if (!isElsewhere)
        log.warn(
          { url: href, instance },
          'replies dropped: another instance is at their address (setting INTERNAL_URL of public-web)',
        );
      isElsewhere = true;
    }

    return { fields: { url: href }, send };
  }

  /** For whoever asks for it elsewhere. Its address is tried again all the same: it may only be slow. */
  async function keepOnce(
    address: ReplyAddress,
    reply: EncodedEvent,
    store: Pick<Deliverer, 'deliver'>,
  ): Promise<void> {
    const id = reply.event.correlationid ?? '';
    if (kept.get(id)) return;
    if ((await store.deliver(address, reply)) === 'delivered') kept.set(id, {});
  }

  async function deliverOrKeep(
    address: ReplyAddress,
    reply: EncodedEvent,
    store: Pick<Deliverer, 'deliver'>,
  ): Promise<DeliveryOutcome> {
    const outcome = await lanes.deliver(address, reply);
    // What an answer tells of an id holds for the progress beside the reply, too, which is no answer to keep.
    if (reply.event.type === PROGRESS_TYPE) return outcome;
    if (outcome === 'late' || (outcome === 'gone' && isKept(address))) return store.deliver(address, reply);
    if (outcome === 'failing' && isKept(address)) await keepOnce(address, reply, store);
    return outcome;
  }

  return {
    deliver: later ? (address, reply) => deliverOrKeep(address, reply, later) : lanes.deliver,
    async check(address, replyto) {
      const { origin, pathname: path } = new URL(toCallbackAddress(address).url);
      const body = encodeBatch([encodeEvent({ ...CALLBACK_CHECK, replyto })]);
      const answer = await callTier({
        ...{ connections, origin, path, body, timeoutMs: CALL_TIMEOUT_MS, parse: toTaken },
      });
      if (answer.kind === 'failed') return answer.error.message;
      if (answer.kind === 'answered' || answer.problem.code === 'not-accepted') return undefined;
      return answer.status === 410 ? 'another instance is at its address' : `it answered ${answer.status}`;
    },
    async close() {
      lanes.close();
      await connections.close();
    },
  };
}

function toSentBatch(answer: TierAnswer<Taken>, replies: EncodedEvent[]): SentBatch {
  if (answer.kind === 'failed')
    return { outcomes: replies.map(() => 'failing'), reason: answer.error.message };
  if (answer.kind === 'answered') {
    const { unknown, late } = answer.answer;
    const isAllTaken = unknown.size + late.size === 0;
    const outcomeOf = (id: string) => (unknown.has(id) ? 'gone' : late.has(id) ? 'late' : 'delivered');
    return {
      outcomes: replies.map(({ event }) => (isAllTaken ? 'delivered' : outcomeOf(event.correlationid ?? ''))),
      reason: 'it answered 200',
    };
  }
  const outcome = toOutcome(answer.status, answer.problem.code);
  return { outcomes: replies.map(() => outcome), reason: `it answered ${answer.status}` };
}

/**
 * 410: the instance is another one now, so the request that waited is gone. A problem of public-web's own with the batch will not
 * pass; anything else may.
 */
function toOutcome(status: number, code: string | undefined): DeliveryOutcome {
  if (status === 410) return 'gone';
  if (code === 'not-accepted') return 'busy';
  return isBodyAtFault(status, code) ? 'refused' : 'failing';
}

/** The correlation ids nobody waits for (any more). */
type Taken = { unknown: ReadonlySet<string>; late: ReadonlySet<string> };

function toTaken(body: string): Taken {
  const { unknown, late = [] } = JSON.parse(body) as { unknown?: string[]; late?: string[] };
  if (!Array.isArray(unknown)) throw new Error('the answer is not that of a public-web');
  return { unknown: new Set(unknown), late: new Set(late) };
}
