/**
 * Where the replies for this instance arrive: the caller that opens an entry under a key is handed what is delivered under it.
 *
 * An entry is open until it is closed or its lease is over, so an inbox keeps nothing for good. It is to be opened before
 * that is sent whose reply it waits for: a reply under a key that is not open finds nobody. How many may be open is
 * bounded by those who open them.
 */
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';

/** What an entry hands its events to. */
export type Sink = {
  /** Takes an event of about `bytes`. More may follow, until the entry is closed. */
  take(event: CloudEvent, bytes: number): void;
  /**
   * The entry is closed, because its lease is over or this instance stops; `when` says which. Nothing follows. `noted` is
   * what was last noted there.
   */
  expire(when: string, noted: CloudEvent | undefined): void;
};

export type Inbox = {
  /**
   * Opens the entry `key`, which is open nowhere else, for `leaseMs`.
   *
   * @throws AppError `not-accepted` after {@link Inbox.shut}.
   */
  open(key: string, sink: Sink, leaseMs: number): void;
  /** Closes an entry, of which its sink is not told; false when it is not open. */
  close(key: string): boolean;
  isOpen(key: string): boolean;
  /** Hands `event`, of about `bytes`, to the entry that is open under its correlation id; false when none is. */
  deliver(event: CloudEvent, bytes?: number): boolean;
  /** Notes `event`, which answers nothing, at the entry that is open under its correlation id, if one is. */
  note(event: CloudEvent): void;
  /** Resolves when no entry is open. */
  drained(): Promise<void>;
  /** Ends every lease now, and opens nothing any more. */
  shut(): void;
};

type Entry = { sink: Sink; timer: NodeJS.Timeout; noted: CloudEvent | undefined };

/** Creates the {@link Inbox} of one instance. */
export function createInbox(): Inbox {
  const entries = new Map<string, Entry>();
  let onDrained: (() => void) | undefined;
  let isShut = false;

  function close(key: string): boolean {
    const entry = entries.get(key);
    if (!entry) return false;
    entries.delete(key);
    clearTimeout(entry.timer);
    if (entries.size === 0) onDrained?.();
    return true;
  }

  function expire(key: string, when: string): void {
    const entry = entries.get(key);
    close(key);
    entry?.sink.expire(when, entry.noted);
  }

  const endLease = (key: string, leaseMs: number) => expire(key, `within ${leaseMs} ms`);

  return {
    open(key, sink, leaseMs) {
      if (isShut) throw new AppError('not-accepted', 'this instance is stopping');
      entries.set(key, { sink, timer: setTimeout(endLease, leaseMs, key, leaseMs), noted: undefined });
    },
    close,
    isOpen: (key) => entries.has(key),
    deliver(event, bytes = 0) {
      const entry = entries.get(event.correlationid ?? '');
      entry?.sink.take(event, bytes);
      return entry !== undefined;
    },
    note(event) {
      const entry = entries.get(event.correlationid ?? '');
      if (entry) entry.noted = event;
    },
    drained: () =>
      entries.size === 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            onDrained = resolve;
          }),
    shut() {
      isShut = true;
      for (const key of [...entries.keys()]) expire(key, 'before this instance stopped');
    },
  };
}
