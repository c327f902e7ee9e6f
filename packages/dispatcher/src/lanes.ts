/**
 * The lanes of a deliverer: two for each address, so that no address delays another, and no large reply a small one.
 */
import { MAX_BATCHES_IN_FLIGHT } from '@waybill/common/batch-limits.ts';
import type { EncodedEvent } from '@waybill/common/event/event-json.ts';
import type { ReplyAddress } from '@waybill/common/internal-call/reply-address.ts';
import { toPublicError } from '@waybill/common/public-error.ts';
import { createOutage } from '@waybill/common/telemetry/outage.ts';
import type { Logger } from 'pino';
import type { DeliveryOutcome } from './deliverer.ts';
import { createLane, type Lane, type SentBatch } from './lane.ts';

/** A larger reply is a large one: 64 of this size fill a batch. */
const MAX_SMALL_BYTES = 4 * 1024;
/** Batches of large replies under way to one address. */
const MAX_LARGE_IN_FLIGHT = 2;
const FORGET_EVERY_MS = 60_000;

/** Most batches under way to one address. */
export const MAX_CALLS_PER_ADDRESS = MAX_BATCHES_IN_FLIGHT + MAX_LARGE_IN_FLIGHT;

/** The far end of the lanes to one address. */
export type Target = {
  /** Name it in log lines. */
  fields: object;
  /** Sends one batch. */
  send(replies: EncodedEvent[]): Promise<SentBatch>;
};

export type LanesOptions = {
  /** The same for addresses that share their lanes. */
  keyOf(address: ReplyAddress): string;
  /** Called once for each key. @throws AppError `unknown-reply-address`. */
  open(address: ReplyAddress): Target;
  log: Logger;
};

export type Lanes = {
  /** Never rejects. */
  deliver(address: ReplyAddress, reply: EncodedEvent): Promise<DeliveryOutcome>;
  close(): void;
};

type Entry = {
  small: Lane;
  large: Lane;
  /** When the last address seen for them expires: then nothing more can come. */
  expMs: number;
};

/** Creates the {@link Lanes} of one deliverer. */
export function createLanes({ keyOf, open, log }: LanesOptions): Lanes {
  const entries = new Map<string, Entry>();
  /** Those of the address that came last: as a rule it is that of the next reply as well. */
  let latest: { address: ReplyAddress; entry: Entry } | undefined;
  const timer = setInterval(forgetExpired, FORGET_EVERY_MS);
  timer.unref();

  function entryFor(address: ReplyAddress): Entry {
    if (latest?.address !== address) latest = { address, entry: findOrOpen(address) };
    return latest.entry;
  }

  function findOrOpen(address: ReplyAddress): Entry {
    const key = keyOf(address);
    const existing = entries.get(key);
    if (existing) {
      existing.expMs = Math.max(existing.expMs, address.expMs);
      return existing;
    }
    const { fields, send } = open(address);
    const laneOf = (size: 'small' | 'large', maxInFlight: number) =>
      createLane({
        maxInFlight,
        send,
        note: createOutage({
          onBegun: (reason) => log.warn({ ...fields, size, isFailing: true, reason }, 'reply address'),
          onOver: () => log.info({ ...fields, size, isFailing: false }, 'reply address'),
        }),
      });
    const entry: Entry = {
      small: laneOf('small', MAX_BATCHES_IN_FLIGHT),
      large: laneOf('large', MAX_LARGE_IN_FLIGHT),
      expMs: address.expMs,
    };
    entries.set(key, entry);
    return entry;
  }

  function forgetExpired(): void {
    latest = undefined;
    for (const [key, { small, large, expMs }] of entries)
      if (expMs < Date.now() && small.isIdle() && large.isIdle()) entries.delete(key);
  }

  return {
    async deliver(address, reply) {
      try {
        const { small, large } = entryFor(address);
        return await (reply.bytes > MAX_SMALL_BYTES ? large : small).deliver(reply);
      } catch (thrown) {
        const { code } = toPublicError(thrown, log, { event_id: reply.event.id });
        return code === 'unknown-reply-address' ? code : 'failing';
      }
    },
    close: () => clearInterval(timer),
  };
}
