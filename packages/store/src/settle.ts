/** What an append does to a mailbox, before it is saved: entries take their slots, and those whose turn it is get an offset. */
import { randomUUID } from 'node:crypto';
import { type CloudEvent, PROBLEM_TYPE } from '@waybill/common/event/event.ts';
import { slotId } from '@waybill/common/internal-call/reply-place.ts';
import { STORE_SOURCE } from '@waybill/common/internal-call/store-calls.ts';
import { problemFor } from '@waybill/common/problem.ts';
import type { Mailbox, Waiting } from './mailbox-rows.ts';
import type { NewEntry } from './mailboxes.ts';
import { type ReleasedSlot, release, type Slot } from './release.ts';

/** No holder has more under way than a mailbox may hold, so a slot further ahead is none that it gave. */
const MAX_AHEAD = 20_000;

/** Has an entry wait in its slot; undefined when the slot is filled already, over, or none that there is. */
export function takeEntry(
  mailbox: Mailbox,
  { fence, n, event, bytes, dueMs }: NewEntry,
): Waiting | undefined {
  const { nextN, lastN = Number.POSITIVE_INFINITY } = mailbox.fences.find((each) => each.fence === fence) ?? {
    nextN: Number.POSITIVE_INFINITY,
  };
  if (n < nextN || n > lastN || n >= nextN + MAX_AHEAD) return undefined;
  if (find(mailbox, { fence, n })) return undefined;
  const entry: Waiting = { fence, n, event, bytes, dueMs };
  add(mailbox, entry);
  return entry;
}

/** Gives offsets to all whose turn has come; whether that changed anything. `hasHeardAll` is of {@link release}. */
export function settle(mailbox: Mailbox, nowMs: number, hasHeardAll: boolean): boolean {
  const isFree = ({ offset }: Waiting) => offset === undefined;
  const { released, fences } = release(mailbox.fences, mailbox.waiting.filter(isFree), {
    nowMs,
    hasHeardAll,
  });
  const isChanged = fences !== mailbox.fences;
  mailbox.fences = fences;
  for (const slot of released) {
    const entry = slot.isMissing ? missing(mailbox, slot) : find(mailbox, slot);
    if (entry && slot.isMissing) add(mailbox, entry);
    mailbox.head += 1;
    if (entry) entry.offset = mailbox.head;
  }
  return isChanged;
}

function find(mailbox: Mailbox, { fence, n }: Slot): Waiting | undefined {
  return mailbox.waiting.find((each) => each.fence === fence && each.n === n);
}

function add(mailbox: Mailbox, entry: Waiting): void {
  mailbox.waiting.push(entry);
  mailbox.entries += 1;
  mailbox.bytes += entry.bytes;
}

/** What stands in a slot whose reply has not come within its deadline. */
function missing({ id }: Mailbox, { fence, n, eventId }: ReleasedSlot): Waiting {
  const problem: CloudEvent = {
    specversion: '1.0',
    id: randomUUID(),
    source: STORE_SOURCE,
    type: PROBLEM_TYPE,
    time: new Date().toISOString(),
    datacontenttype: 'application/problem+json',
    data: {
      ...problemFor('outcome-unknown', 'no reply within the deadline'),
      ...(eventId && { event_id: eventId }),
    },
    correlationid: eventId ? slotId({ mailbox: id, fence, n, eventId }) : `${id}.${fence}.${n}`,
  };
  const event = JSON.stringify(problem);
  return { fence, n, event, bytes: Buffer.byteLength(event) };
}
