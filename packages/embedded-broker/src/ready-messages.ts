import type { QueuedMessage } from './message.ts';

/** The messages of a queue that wait to be delivered, in the order of their positions. */
export type ReadyMessages = {
  size(): number;
  first(): QueuedMessage | undefined;
  shift(): QueuedMessage | undefined;
  /** Puts it where its position says: at the end for a new one, far ahead for one that comes back. */
  insert(entry: QueuedMessage): void;
  /** Takes all of them out. */
  clear(): QueuedMessage[];
};

/** Taken from the front in constant time; the emptied slots are given back in bulk. */
const MAX_EMPTY_SLOTS = 1_024;

export function createReadyMessages(): ReadyMessages {
  /** From `head` on none is undefined. */
  let entries: (QueuedMessage | undefined)[] = [];
  let head = 0;
  const positionAt = (i: number) => (entries[i] as QueuedMessage).position;

  function compact(): void {
    if (head < MAX_EMPTY_SLOTS || head * 2 < entries.length) return;
    entries = entries.slice(head);
    head = 0;
  }

  /** The first index whose position is larger. */
  function indexFor(position: number): number {
    let [low, high] = [head, entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (positionAt(middle) < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  return {
    size: () => entries.length - head,
    first: () => entries[head],
    shift() {
      const entry = entries[head];
      if (!entry) return undefined;
      // So that what is delivered and acked is not held by an emptied slot.
      entries[head] = undefined;
      head += 1;
      compact();
      return entry;
    },
    insert(entry) {
      const { length } = entries;
      if (head === length || positionAt(length - 1) < entry.position) entries.push(entry);
      else if (head > 0 && entry.position < positionAt(head)) entries[--head] = entry;
      else entries.splice(indexFor(entry.position), 0, entry);
    },
    clear() {
      const all = entries.slice(head) as QueuedMessage[];
      entries = [];
      head = 0;
      return all;
    },
  };
}
