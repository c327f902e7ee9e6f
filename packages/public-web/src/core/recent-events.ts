import type { Account } from './account.ts';

/** An event that was answered. */
export type RecentEvent = { time: Date; id: string; type: string; status: number; durationMs: number };

export type RecentEvents = {
  /** `account`, that keeps what it is told. */
  kept(account: Account): Account;
  /** The last ones, the latest first. */
  list(): RecentEvent[];
};

/** Keeps the last `max` events that were answered, for those who look on in development. */
export function createRecentEvents({ max = 20 }: { max?: number } = {}): RecentEvents {
  let events: RecentEvent[] = [];
  return {
    kept: (account) => (outcome) => {
      const { event, status, durationMs } = outcome;
      const { id, type } = event;
      events = [{ time: new Date(), id, type, status, durationMs }, ...events.slice(0, max - 1)];
      account(outcome);
    },
    list: () => events,
  };
}
