/**
 * Hands what is in one mailbox to its client, in order: what is pushed goes straight on when it is the next, and is read from
 * the store otherwise. Nothing is kept here that the client has no room for, since the store has it.
 */
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { placeOf } from '@waybill/common/internal-call/reply-place.ts';
import type { Page, PushedPosition } from '@waybill/common/internal-call/store-calls.ts';
import { mailboxEntries } from '@waybill/common/telemetry/metrics.ts';
import { startEventSpan } from '@waybill/common/telemetry/tracing.ts';
import { toEntry, toGap } from './entry.ts';
import type { Sink } from './sessions.ts';
import type { Unwritten } from './unwritten.ts';

/** Most entries, and bytes, that a client has been handed and has not acknowledged. */
const WINDOW_ENTRIES = 256;
const WINDOW_BYTES = 1024 * 1024;
/** From here on of what has not left for the client, it is handed no more. */
const MAX_UNWRITTEN_BYTES = 256 * 1024;

/** What a push says of a mailbox; `event` is what has the `offset`. */
export type PushedEntry = Omit<PushedPosition, 'mailbox'> & { event?: CloudEvent };

export type Delivery = {
  /** The offset up to which the client has acknowledged. */
  acked(): number;
  /** The offset up to which the client was handed all. */
  handed(): number;
  /** When the oldest entry was made that the client was handed and has not acknowledged; Infinity without one. In ms since the epoch. */
  oldestMs(): number;
  /** The last offset that there is, as far as is known. */
  head(): number;
  /** Begins with the page that came with the attach. */
  start(): void;
  pushed(push: PushedEntry): void;
  /** All up to `head` can be read, and up to `trimmed` it was acknowledged, here or elsewhere. */
  looked(position: { head: number; trimmed: number }): void;
  /** @throws AppError `invalid-request` when it was not handed over. */
  acknowledge(offset: number): void;
  close(): void;
};

export type DeliveryOptions = {
  attached: Pick<Page, 'epoch' | 'head' | 'trimmed' | 'gap' | 'entries'>;
  take: Sink['take'];
  unwritten: Unwritten;
  /** Reads what is beyond an offset. */
  read(beyond: number): Promise<Page>;
  /** Told of each slot whose result is handed over. */
  onHanded(slot: { fence: number; n: number }): void;
};

/** Creates {@link Delivery}. */
export function createDelivery({ attached, take, unwritten, read, onHanded }: DeliveryOptions): Delivery {
  const { epoch } = attached;
  let { head, trimmed: acked } = attached;
  /** Let go of once it is handed over: it may have half a MiB, and thousands of sessions last for hours. */
  let first: DeliveryOptions['attached'] | undefined = attached;
  let handed = acked;
  const unacked: { offset: number; bytes: number; time: string | undefined; handedMs: number }[] = [];
  let unackedBytes = 0;
  const waiting = unwritten.open();
  let isReading = true;
  let isOver = false;

  function hasRoom(): boolean {
    if (isOver || unacked.length >= WINDOW_ENTRIES || unackedBytes >= WINDOW_BYTES) return false;
    // Clients that do not read hold up nobody who does.
    return waiting.bytes() === 0 || (waiting.bytes() < MAX_UNWRITTEN_BYTES && unwritten.hasRoom());
  }

  function hand(offset: number, event: CloudEvent, by: 'push' | 'read'): void {
    const place = placeOf(event.correlationid);
    const slot = place?.kind === 'slot' ? place : undefined;
    const entry = toEntry(`${epoch}.${offset}`, event, slot?.eventId);
    const bytes = Buffer.byteLength(JSON.stringify(event));
    mailboxEntries.add(1, { by });
    handed = offset;
    head = Math.max(head, offset);
    unacked.push({ offset, bytes, time: event.time, handedMs: Date.now() });
    unackedBytes += bytes;
    const span = startEventSpan({ name: 'deliver', kind: 'internal', event, label: event.type });
    take(entry, waiting.add(bytes, catchUp));
    span.end();
    if (slot) onHanded(slot);
  }

  /** Of a page that does not fit, the rest is read again. */
  function handPage(page: DeliveryOptions['attached']): void {
    head = Math.max(head, page.head);
    if (page.gap) {
      take(toGap(page.gap), () => {});
      handed = page.trimmed;
    }
    for (const { offset, event } of page.entries) {
      if (!hasRoom()) return;
      if (offset > handed) hand(offset, event, 'read');
    }
  }

  function catchUp(): void {
    if (!isReading && handed < head && hasRoom()) void readOn();
  }

  async function readOn(): Promise<void> {
    isReading = true;
    try {
      for (let before = -1; handed < head && hasRoom() && handed > before; ) {
        before = handed;
        const page = await read(handed);
        // One of another epoch, or from before what was handed over: the next look ends the session.
        if (isOver || page.epoch !== epoch || page.head < before) return;
        handPage(page);
      }
    } catch {
      // Told in the log; the next look tries again.
    } finally {
      isReading = false;
    }
  }

  function acknowledge(offset: number): void {
    if (offset > handed)
      throw new AppError('invalid-request', 'what is acknowledged has not been handed over');
    acked = Math.max(acked, offset);
    for (let first = unacked[0]; first && first.offset <= acked; first = unacked[0]) {
      unackedBytes -= first.bytes;
      unacked.shift();
    }
    catchUp();
  }

  return {
    acked: () => acked,
    handed: () => handed,
    head: () => head,
    oldestMs() {
      const [oldest] = unacked;
      if (!oldest) return Number.POSITIVE_INFINITY;
      // A leap second is no time for the parser.
      return oldest.time === undefined ? oldest.handedMs : Date.parse(oldest.time) || oldest.handedMs;
    },
    start() {
      if (isOver || !first) return;
      isReading = false;
      handPage(first);
      first = undefined;
      catchUp();
    },
    pushed({ epoch: pushedEpoch, offset, head: pushedHead, event }) {
      if (pushedEpoch !== epoch) return;
      head = Math.max(head, pushedHead);
      if (event && offset === handed + 1 && !isReading && hasRoom()) hand(offset, event, 'push');
      // What was appended together is pushed together.
      queueMicrotask(catchUp);
    },
    looked(position) {
      head = Math.max(head, position.head);
      acknowledge(Math.min(position.trimmed, handed));
    },
    acknowledge,
    close() {
      isOver = true;
      waiting.close();
    },
  };
}
