/** What becomes of the fences of one mailbox, before it is saved. */
import type { ClosedFence, Holder } from '@waybill/common/internal-call/store-calls.ts';
import type { Mailbox } from './mailbox-rows.ts';
import type { Fence } from './release.ts';

/** The fence that the call `id` has got before. */
export function fenceOf({ fences }: Mailbox, id: string | undefined): number | undefined {
  return id === undefined ? undefined : fences.find(({ callId }) => callId === id)?.fence;
}

/** Gives `holder` the mailbox, and a fence of its own. */
export function takeOver(
  mailbox: Mailbox,
  { id, holder, closesAtMs }: { id: string | undefined; holder: Holder; closesAtMs: number },
): number {
  mailbox.fences = mailbox.fences.map((each) =>
    each.closesAtMs === undefined ? { ...each, closesAtMs } : each,
  );
  mailbox.holder = holder;
  return addFence(mailbox, { callId: id });
}

/** Closes a fence, whose holder holds nothing any more if it still did. */
export function letGo(mailbox: Mailbox, closed: ClosedFence, closesAtMs: number): void {
  const fence = 'mailbox' in closed ? closed.fence : fenceOf(mailbox, closed.id);
  if (fence === undefined) return;
  const isHeld = mailbox.fences.some((each) => each.fence === fence && each.closesAtMs === undefined);
  if (isHeld) mailbox.holder = undefined;
  closeFence(mailbox, fence, { lastN: 'mailbox' in closed ? closed.lastN : -1, closesAtMs });
}

export function addFence(mailbox: Mailbox, bounds: Omit<Fence, 'fence' | 'nextN'>): number {
  mailbox.fence += 1;
  mailbox.fences = [...mailbox.fences, { fence: mailbox.fence, nextN: 0, ...bounds }];
  return mailbox.fence;
}

/** One that is closing already does not get more time. */
function closeFence(mailbox: Mailbox, fence: number, bounds: { lastN: number; closesAtMs: number }): void {
  mailbox.fences = mailbox.fences.map((each) =>
    each.fence === fence ? { ...each, ...bounds, closesAtMs: each.closesAtMs ?? bounds.closesAtMs } : each,
  );
}
