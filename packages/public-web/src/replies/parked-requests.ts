/**
 * The requests that wait for their reply: entries of the inbox that close after one.
 *
 * A request is parked before its event is sent, so a fast reply always finds it. It leaves exactly once: with its reply,
 * failed (because its client has gone, or nothing was enqueued), or past its deadline. A second reply finds nobody.
 */
import { randomFillSync } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { describeProgress } from './describe-progress.ts';
import type { Inbox } from './inbox.ts';

export type ParkedRequest = {
  /** 128 random bits, base64url. */
  correlationId: string;
  /**
   * The reply. Rejects with an AppError: at the deadline `outcome-unknown`, or `not-accepted` when the event was not
   * even sent by then; or what {@link fail} was given.
   */
  reply: Promise<CloudEvent>;
  /** To be asked just before the event is sent; false when nobody waits any more, and then it must not be sent. */
  startSending(): boolean;
  /** Ends the wait with an error. */
  fail(error: AppError): void;
};

export type ParkedRequests = {
  /**
   * @param bytes about how large the event is.
   * @param hold is asked whether the answer has room for the reply; when not, the wait ends with `handler-failed`.
   * @throws AppError `not-accepted` when as many are parked as are allowed, or when this instance stops.
   */
  park(deadlineMs: number, bytes: number, hold?: (replyBytes: number) => boolean): ParkedRequest;
  size(): number;
};

/** Most bytes of events that wait, and of replies not yet read; each is held a few times over until it is answered. */
const MAX_PARKED_BYTES = 128 * 1024 * 1024;

/**
 * Creates {@link ParkedRequests} for at most `maxParked` at once, whose replies arrive in `inbox`; `heldBytes` is what
 * replies take that have come.
 */
export function createParkedRequests({
  inbox,
  maxParked,
  heldBytes = () => 0,
}: {
  inbox: Inbox;
  maxParked: number;
  heldBytes?(): number;
}): ParkedRequests {
  let parkedCount = 0;
  let parkedBytes = 0;

  return {
    park(deadlineMs, bytes, hold = () => true) {
      if (parkedCount >= maxParked || parkedBytes + heldBytes() + bytes > MAX_PARKED_BYTES)
        throw new AppError('not-accepted', 'too many requests wait for a reply');
      const correlationId = randomKey();
      const { promise, resolve, reject } = Promise.withResolvers<CloudEvent>();
      let isSending = false;
      const leave = () => {
        parkedCount -= 1;
        parkedBytes -= bytes;
      };
      const sink = {
        take(reply: CloudEvent, replyBytes: number) {
          inbox.close(correlationId);
          leave();
          if (hold(replyBytes)) resolve(reply);
          else reject(noRoom());
        },
        expire(when: string, noted: CloudEvent | undefined) {
          leave();
          reject(tooLate(isSending, when + describeProgress(noted)));
        },
      };
      inbox.open(correlationId, sink, deadlineMs);
      parkedCount += 1;
      parkedBytes += bytes;
      return {
        correlationId,
        reply: promise,
        startSending() {
          isSending = inbox.isOpen(correlationId);
          return isSending;
        },
        fail(error) {
          if (!inbox.close(correlationId)) return;
          leave();
          reject(error);
        },
      };
    },
    size: () => parkedCount,
  };
}

function tooLate(isSent: boolean, when: string): AppError {
  return isSent
    ? new AppError('outcome-unknown', `no reply ${when}`)
    : new AppError('not-accepted', `not sent ${when}`);
}

/** It has run, so nothing that invites to send it again. */
function noRoom(): AppError {
  return new AppError('handler-failed', 'handled, but the answer to the batch has no room for its reply');
}

const KEY_BYTES = 16;
const pool = Buffer.alloc(KEY_BYTES * 256);
let used = pool.length;

/** Random bytes are fetched for 256 keys at once: one system call each would cost more than the rest of parking. */
function randomKey(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += KEY_BYTES;
  return pool.toString('base64url', used - KEY_BYTES, used);
}
