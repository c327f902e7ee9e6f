/**
 * Order: which entries of a mailbox are given their offset, and when.
 *
 * A holder counts the events that it takes for a mailbox, from 0 and without a gap, under the fence that it got when it
 * attached: (fence, n) is a slot, and the reply to the event fills it. Replies come in any order, since handlers run in
 * parallel and are retried; a reply waits here until every slot before its own is filled. What is given an offset is
 * *released*: it can be read, and nothing is ever released before it any more.
 *
 * A fence is *open* while its holder is attached. Once it is *closing* nothing is added to it, and it holds back the fences
 * after it until it is complete, or for one deadline at the most: then what is missing is filled by the store itself. Where
 * the store could not hear of its last slot in all that time, it holds them back until it could.
 * An open fence holds back no other, as nobody can say what is still to come under it.
 *
 * A slot whose event has expired gets no reply any more, and those before it in its fence were taken earlier, for as long: so
 * what is missing before a filled slot that is due is filled by the store as well. That needs no holder: of one that was
 * killed, all that came is released by then, whether or not its fence ever closes.
 *
 * Nothing here knows of a database or a clock.
 */

/** What is known of one fence of a mailbox. */
export type Fence = {
  fence: number;
  /** All slots before it have been released. */
  nextN: number;
  /** The last slot that there is, -1 for none; undefined while it is open, and of a holder that died. */
  lastN?: number | undefined;
  /** When the store fills what is missing; undefined while it is open. */
  closesAtMs?: number | undefined;
  /** Of the call that has made it; undefined where it had none. */
  callId?: string | undefined;
  /** The event of its only slot, where it has one and that is known. */
  eventId?: string | undefined;
};

/** The place of one reply. */
export type Slot = { fence: number; n: number };

/** A slot that is filled; `dueMs` is when those before it are over, if that is known. */
export type FilledSlot = Slot & { dueMs?: number | undefined };

/** A slot whose turn has come; one that `isMissing` has no reply, and is filled by the store. */
export type ReleasedSlot = Slot & { isMissing: boolean; eventId?: string };

/**
 * What is released now, in order, and the fences that are left: one that is over is not among them, and one that nothing
 * was released of is the very same object. So is the array when nothing has changed.
 */
export type Release = { released: ReleasedSlot[]; fences: readonly Fence[] };

/**
 * What is to be released of the slots that are `filled` and have not been, in any order.
 *
 * @param fences in ascending order
 * @param time `hasHeardAll` is whether a holder could by now say which slot is its last: until then a fence without one is not over
 */
export function release(fences: readonly Fence[], filled: readonly FilledSlot[], time: Time): Release {
  const result: Changes = { released: [], fences: [] };
  const slotsOf = Map.groupBy(filled, ({ fence }) => fence);
  let isHeldBack = false;
  for (const fence of fences) {
    if (isHeldBack) result.fences.push(fence);
    else isHeldBack = releaseFence(fence, slotsOf.get(fence.fence) ?? [], time, result);
  }
  const isSame = result.released.length === 0 && result.fences.length === fences.length;
  return isSame ? { ...result, fences } : result;
}

type Time = { nowMs: number; hasHeardAll: boolean };

type Changes = { released: ReleasedSlot[]; fences: Fence[] };

/** Whether it holds back the fences after it. */
function releaseFence(
  fence: Fence,
  slots: FilledSlot[],
  { nowMs, hasHeardAll }: Time,
  result: Changes,
): boolean {
  const isDue = fence.closesAtMs !== undefined && nowMs >= fence.closesAtMs;
  const isOver = isDue && (fence.lastN !== undefined || hasHeardAll);
  const filled = new Set(slots.map(({ n }) => n));
  const dueN = lastOf(slots.filter(({ dueMs = Number.POSITIVE_INFINITY }) => dueMs <= nowMs));
  const endN = isOver ? (fence.lastN ?? lastOf(slots)) : dueN;
  const { eventId } = fence;
  let n = fence.nextN;
  for (; filled.has(n) || n <= endN; n += 1)
    result.released.push({ fence: fence.fence, n, isMissing: !filled.has(n), ...(eventId && { eventId }) });
  if (isOver || isComplete(fence, n)) return false;
  result.fences.push(n === fence.nextN ? fence : { ...fence, nextN: n });
  return fence.closesAtMs !== undefined;
}

function isComplete({ lastN }: Fence, nextN: number): boolean {
  return lastN !== undefined && nextN > lastN;
}

function lastOf(slots: readonly Slot[]): number {
  return slots.reduce((last, { n }) => Math.max(last, n), -1);
}
