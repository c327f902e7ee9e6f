import type { CloudEvent } from '@waybill/common/event/event.ts';

/** The slot of an event whose result is not known to be in the mailbox. */
export type OpenSlot = {
  n: number;
  eventId: string;
  /** When its event expires. */
  dueMs: number;
  traceparent?: string | undefined;
  /** What is to fill it, where the event was refused or has no reply in time. */
  problem?: CloudEvent;
  isFilling?: boolean;
};

/** The slots that one session takes under its fence. */
export type Slots = {
  take(eventId: string, dueMs: number): OpenSlot;
  /** All before `nextN` have been released: their results are in the mailbox. */
  release(nextN: number): void;
  /** It has been filled, and may wait for others before it. */
  remove(slot: OpenSlot): void;
  /** How many were taken. */
  taken(): number;
  /** How many are open. */
  unanswered(): number;
  /** Nobody looks after those that are open any more. */
  close(): void;
  /** Those that are to be filled now. */
  toFill(nowMs: number): OpenSlot[];
};

/** Creates {@link Slots}; `onAnswered` is called once for each that is not open any more. */
export function createSlots(onAnswered: () => void = () => {}): Slots {
  /** In the order of n, and so of when they are due. */
  let open: OpenSlot[] = [];
  let taken = 0;
  return {
    take(eventId, dueMs) {
      const slot = { n: taken, eventId, dueMs };
      taken += 1;
      open.push(slot);
      return slot;
    },
    release(nextN) {
      while (open[0] && open[0].n < nextN) {
        open.shift();
        onAnswered();
      }
    },
    remove(slot) {
      if (!open.includes(slot)) return;
      open = open.filter((each) => each !== slot);
      onAnswered();
    },
    close() {
      for (const _slot of open.splice(0)) onAnswered();
    },
    taken: () => taken,
    unanswered: () => open.length,
    toFill: (nowMs) =>
      open.filter(({ problem, dueMs, isFilling }) => !isFilling && (problem || dueMs <= nowMs)),
  };
}
