import { backOff } from '@waybill/common/back-off.ts';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import {
  type Attached,
  type LookedAt,
  MAILBOX_MAX_BYTES,
  MAILBOX_MAX_ENTRIES,
  type Page,
} from '@waybill/common/internal-call/store-calls.ts';
import type { AskStore } from '../later/store-client.ts';
import type { Acks } from './acks.ts';
import { createDelivery, type PushedEntry } from './delivery.ts';
import type { Detach } from './detach.ts';
import { toProblemEntry } from './entry.ts';
import type { AppendProblem } from './problems.ts';
import type { Room } from './room.ts';
import type { Place, SendToSlot } from './send-to-slot.ts';
import type { EndReason, Requester, Session, Sink } from './sessions.ts';
import { createSlots, type OpenSlot } from './slots.ts';
import type { Unwritten } from './unwritten.ts';
import { waitForRate } from './wait-for-rate.ts';

/** Most events of a client that wait for their results, as many as a batch by HTTP has. */
const MAX_UNANSWERED = 256;

/** How long after a failure the problem of a slot is tried again whose session is over. */
const FILL_AGAIN = { baseMs: 100, capMs: 2_000 };

/** What the sessions of one instance share. */
export type SessionContext = {
  askStore: AskStore;
  sendToSlot: SendToSlot;
  appendProblem: AppendProblem;
  detach: Detach;
  acks: Acks;
  unwritten: Unwritten;
  /** How long an event may take. */
  deadlineMs: number;
  /** Aborted when nothing is tried again any more. */
  drained: AbortSignal;
  /** What a mailbox may hold; default: what it does in a store. */
  maxEntries?: number;
  maxBytes?: number;
};

/** A session as the instance knows it. */
export type HeldSession = Session & {
  readonly mailbox: string;
  readonly fence: number;
  /** Entries that its client has not acknowledged. */
  depth(): number;
  /** As that of its delivery. */
  oldestMs(): number;
  /** Begins to hand over what there is. */
  start(): void;
  pushed(push: PushedEntry): void;
  /** The offset up to which its client was handed all. */
  handed(): number;
  /** Whether it is to be looked at though nothing has changed: it, its client or something in its mailbox waits. */
  isWaiting(): boolean;
  /** What the store says of its mailbox, undefined when there is no such mailbox; and what was handed over before it was asked. */
  looked(found: LookedAt | undefined, handedBefore: number): void;
  /** Fills the slots that are due. */
  fill(nowMs: number): void;
  /** Ends it, and tells its way in. */
  end(reason: EndReason): void;
};

export type SessionOptions = SessionContext & {
  attached: Attached;
  /** Whether its client brought a token. */
  isResumed: boolean;
  sink: Sink;
  /** Where each event takes a place until its result is known. */
  room: Room | undefined;
  /** Called once, when it is over. */
  onOver(): void;
  /** Told of what is under way, and may outlive it. */
  track(underWay: Promise<unknown>): void;
};

/** Creates the session of a client that the store has attached. */
export function createSession({
  attached,
  isResumed,
  sink,
  room,
  onOver,
  track,
  ...context
}: SessionOptions): HeldSession {
  const { mailbox, fence, epoch, depth } = attached;
  const { askStore, sendToSlot, appendProblem, detach, acks, unwritten, deadlineMs, drained } = context;
  const { maxEntries = MAILBOX_MAX_ENTRIES, maxBytes = MAILBOX_MAX_BYTES } = context;
  const slots = createSlots(() => room?.leave());
  const delivery = createDelivery({
    attached,
    take: sink.take,
    unwritten,
    read: (beyond) => askStore<Page>({ call: 'read', mailbox, beyond }),
    onHanded(slot) {
      if (slot.fence !== fence) return;
      answered = slot.n + 1;
      slots.release(answered);
      wake();
    },
  });
  let storedBytes = depth.bytes;
  /** The results of all slots before this one have been handed over. */
  let answered = 0;
  /** Whether somebody else held the mailbox at the last look. */
  let isTaken = false;
  /** Whether the mailbox stays as it is until the store says that it has changed. */
  let isAtRest = false;
  let isOver = false;
  let isClosed = false;
  let progress = Promise.withResolvers<void>();

  function wake(): void {
    progress.resolve();
    progress = Promise.withResolvers();
  }

  async function until(isReached: () => boolean): Promise<boolean> {
    while (!isOver && !isReached()) await progress.promise;
    return isReached();
  }

  function assertRoom(): void {
    if (isOver) throw new AppError('not-accepted', 'the session is over');
    const entries = delivery.head() - delivery.acked() + slots.unanswered();
    if (entries >= maxEntries || storedBytes >= maxBytes)
      throw new AppError('mailbox-full', 'the mailbox is full: acknowledge what was read of it');
  }

  const placeOf = ({ n }: OpenSlot): Place => ({ mailbox, fence, n });

  async function transmit(slot: OpenSlot, event: CloudEvent, requester: Requester): Promise<void> {
    const { dueMs } = slot;
    const error = await sendToSlot(event, { place: placeOf(slot), dueMs }, requester);
    slot.traceparent = event.traceparent;
    // One whose outcome is unknown may have a reply.
    if (error && error.code !== 'outcome-unknown') await fill(slot, error);
  }

  /** Fills a slot with the problem, or one that it had before. */
  async function fill(slot: OpenSlot, error: AppError): Promise<void> {
    slot.problem ??= toProblemEntry(error, { ...slot, place: placeOf(slot) });
    await append(slot, slot.problem);
  }

  /** Where no store takes it, the slot stays open; nobody comes back to it once the session is over. */
  async function append(slot: OpenSlot, problem: CloudEvent): Promise<void> {
    slot.isFilling = true;
    for (let failures = 1; ; failures += 1)
      try {
        const { push } = await appendProblem(problem);
        slots.remove(slot);
        if (push) delivery.pushed({ ...push, event: problem });
        return wake();
      } catch {
        slot.isFilling = false;
        if (!isOver || drained.aborted || Date.now() >= slot.dueMs) return;
        await backOff(failures, { ...FILL_AGAIN, signal: drained });
      }
  }

  async function letGo(): Promise<void> {
    if (isOver) return;
    isOver = true;
    delivery.close();
    for (const slot of slots.toFill(Number.NEGATIVE_INFINITY))
      if (slot.problem) track(append(slot, slot.problem));
    slots.close();
    onOver();
    wake();
    await detach({ mailbox, fence, lastN: slots.taken() - 1 });
  }

  function end(reason: EndReason): void {
    if (isOver) return;
    track(letGo());
    // Whoever attached may not know of it yet.
    setImmediate(() => {
      if (!isClosed) sink.end(reason);
    });
  }

  return {
    mailbox,
    fence,
    depth: () => delivery.head() - delivery.acked(),
    oldestMs: delivery.oldestMs,
    token: `${epoch}.${attached.trimmed}`,
    backlog: attached.head - attached.trimmed,
    recovered: isResumed && !attached.gap,
    start: delivery.start,
    pushed(push) {
      if (push.epoch === epoch) storedBytes = push.bytes ?? storedBytes;
      delivery.pushed(push);
    },
    async send(event, requester) {
      assertRoom();
      await waitForRate(requester, () => isOver);
      await room?.enter();
      try {
        assertRoom();
      } catch (error) {
        room?.leave();
        throw error;
      }
      const slot = slots.take(event.id, Date.now() + deadlineMs);
      track(transmit(slot, event, requester));
      await until(() => slots.unanswered() < MAX_UNANSWERED);
    },
    acknowledge(token) {
      const [, givenEpoch, offset] = /^(.*)\.(\d{1,15})$/.exec(token) ?? [];
      if (givenEpoch !== epoch) throw new AppError('invalid-request', 'that is no token of this session');
      delivery.acknowledge(Number(offset));
      acks.note(mailbox, `${epoch}.${delivery.acked()}`);
    },
    answered: () => until(() => answered >= slots.taken()),
    isOver: () => isOver,
    async close() {
      isClosed = true;
      const gone = letGo();
      track(gone);
      await gone;
    },
    handed: delivery.handed,
    isWaiting: () => !isAtRest || answered < slots.taken() || delivery.handed() < delivery.head(),
    looked(found, handedBefore) {
      if (isOver) return;
      // A store that has gone back may be of the same epoch.
      if (found?.epoch !== epoch || found.head < handedBefore) return end('lost');
      // An attach whose answer its instance has not heard is undone by it: only the next look shows that it is meant.
      if (!found.isHeld && isTaken) return end('taken-over');
      isTaken = !found.isHeld;
      isAtRest = found.isAtRest && !isTaken;
      if (isTaken) return;
      storedBytes = found.bytes;
      slots.release(found.nextN);
      delivery.looked(found);
      // Those that were acknowledged elsewhere are never handed over.
      if (found.nextN === slots.taken() && delivery.handed() >= found.head) answered = found.nextN;
      wake();
    },
    fill(nowMs) {
      for (const slot of slots.toFill(nowMs))
        track(fill(slot, new AppError('outcome-unknown', `no reply within ${deadlineMs} ms`)));
    },
    end,
  };
}
