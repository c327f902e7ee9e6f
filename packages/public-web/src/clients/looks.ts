/**
 * Keeps the sessions of one instance in step with the store, should a push have been lost. Each second the store is asked which
 * mailboxes have changed; where these stand is looked at, and where those do whose sessions wait for something. So a client
 * in whose mailbox nothing happens costs next to nothing, and is looked at once a minute all the same.
 */
import type { Changes, LookedAt } from '@waybill/common/internal-call/store-calls.ts';
import type { AskStore } from '../later/store-client.ts';
import type { HeldSession } from './create-session.ts';

const EVERY_MS = 1_000;
/** Of one call. */
const LOOK_AT_ONCE = 500;
/** A session that rests is looked at again after 30 to 60 rounds, another time for each, or thousands would be at once. */
const REST_ROUNDS = 30;

export type Looks = {
  /** No more looks. */
  close(): void;
};

/** Begins to look after `sessions`, those that there are at the time; the first look is `everyMs` (default: a second) from now. */
export function createLooks({
  askStore,
  instance,
  sessions,
  everyMs = EVERY_MS,
}: {
  askStore: AskStore;
  /** As which this instance holds mailboxes. */
  instance: string;
  sessions: () => Iterable<HeldSession>;
  everyMs?: number | undefined;
}): Looks {
  const restUntilMs = new WeakMap<HeldSession, number>();
  let since: string | undefined;
  let isLooking = false;
  const timer = setInterval(() => void round(), everyMs).unref();

  async function round(): Promise<void> {
    const all = [...sessions()];
    for (const session of all) session.fill(Date.now());
    if (isLooking || all.length === 0) return;
    isLooking = true;
    try {
      const { asOf, isChanged } = await askForChanges();
      const some = all.filter((session) => session.isWaiting() || isChanged(session) || isRested(session));
      for (let start = 0; start < some.length; start += LOOK_AT_ONCE)
        await lookAt(some.slice(start, start + LOOK_AT_ONCE));
      since = asOf;
    } catch {
      // Told in the log; the next round asks for what has changed since the last that succeeded.
    } finally {
      isLooking = false;
    }
  }

  /** Where a store cannot say, as one of before, all are looked at. */
  async function askForChanges() {
    const call = { call: 'changes', since } as const;
    const { asOf, mailboxes }: Partial<Changes> = await askStore<Changes>(call).catch(() => ({}));
    const changed = mailboxes && new Set(mailboxes);
    return { asOf, isChanged: ({ mailbox }: HeldSession) => changed?.has(mailbox) ?? true };
  }

  function isRested(session: HeldSession): boolean {
    return performance.now() >= (restUntilMs.get(session) ?? 0);
  }

  async function lookAt(some: HeldSession[]): Promise<void> {
    const mailboxes = some.map(({ mailbox, fence }) => ({ mailbox, fence }));
    const handed = some.map((session) => session.handed());
    const found = await askStore<LookedAt[]>({ call: 'look', instance, mailboxes });
    const byMailbox = new Map(found.map((each) => [each.mailbox, each]));
    for (const [index, session] of some.entries()) {
      session.looked(byMailbox.get(session.mailbox), handed[index] ?? 0);
      restUntilMs.set(session, performance.now() + REST_ROUNDS * (1 + Math.random()) * everyMs);
    }
  }

  return { close: () => clearInterval(timer) };
}
