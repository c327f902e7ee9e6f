/**
 * The requests that wait for their reply, by correlation id.
 *
 * A request is parked before its event is sent, so a fast reply always finds it. It leaves exactly once: settled by
 * its reply, failed, past its deadline, or released because its client has gone. A second reply finds nobody.
 */
import { randomFillSync } from 'node:crypto';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';

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
   * @throws AppError `not-accepted` when as many are parked as are allowed, or after {@link close}.
   */
  park(deadlineMs: number, bytes: number, hold?: (replyBytes: number) => boolean): ParkedRequest;
  /** Hands the reply, of about `bytes`, to whoever waits under `correlationId`; false when nobody does. */
  settle(correlationId: string, reply: CloudEvent, bytes?: number): boolean;
  size(): number;
  /** Resolves when nothing is parked. */
  drained(): Promise<void>;
  /** Tells everyone who waits what their deadline would have told them, and parks nobody any more. */
  close(): void;
};

/** Most bytes of events that wait, and of replies not yet read; each is held a few times over until it is answered. */
const MAX_PARKED_BYTES = 128 * 1024 * 1024;

type Entry = {
  bytes: number;
  resolve(reply: CloudEvent, bytes: number): void;
  giveUp(when: string): void;
  timer: NodeJS.Timeout;
};

/** Creates {@link ParkedRequests} for at most `maxParked` at once; `heldBytes` is what replies take that were settled. */
export function createParkedRequests({
  maxParked,
  heldBytes = () => 0,
}: {
  maxParked: number;
  heldBytes?(): number;
}): ParkedRequests {
  const entries = new Map<string, Entry>();
  let onDrained: (() => void) | undefined;
  let parkedBytes = 0;
  let isClosed = false;

  function remove(correlationId: string): Entry | undefined {
    const entry = entries.get(correlationId);
    if (!entry) return undefined;
    entries.delete(correlationId);
    parkedBytes -= entry.bytes;
    clearTimeout(entry.timer);
    if (entries.size === 0) onDrained?.();
    return entry;
  }

  return {
    park(deadlineMs, bytes, hold = () => true) {
      if (isClosed) throw new AppError('not-accepted', 'this instance is stopping');
      if (entries.size >= maxParked || parkedBytes + heldBytes() + bytes > MAX_PARKED_BYTES)
        throw new AppError('not-accepted', 'too many requests wait for a reply');
      const correlationId = randomKey();
      const { promise, resolve: answer, reject } = Promise.withResolvers<CloudEvent>();
      const resolve = (reply: CloudEvent, replyBytes: number) =>
        hold(replyBytes) ? answer(reply) : reject(noRoom());
      const fail = (error: AppError) => {
        if (remove(correlationId)) reject(error);
      };
      let isSending = false;
      const giveUp = (when: string) => fail(tooLate(isSending, when));
      const timer = setTimeout(giveUp, deadlineMs, `within ${deadlineMs} ms`);
      const startSending = () => {
        isSending = entries.has(correlationId);
        return isSending;
      };
      entries.set(correlationId, { bytes, resolve, giveUp, timer });
      parkedBytes += bytes;
      return { correlationId, reply: promise, fail, startSending };
    },
    settle(correlationId, reply, bytes = 0) {
      const entry = remove(correlationId);
      entry?.resolve(reply, bytes);
      return entry !== undefined;
    },
    size: () => entries.size,
    drained: () =>
      entries.size === 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            onDrained = resolve;
          }),
    close() {
      isClosed = true;
      for (const { giveUp } of [...entries.values()]) giveUp('before this instance stopped');
    },
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
