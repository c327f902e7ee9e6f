/**
 * How much room values under keys have: so many bytes for each whose they are, and so many for all of a kind, `key` or `result`, so that
 * neither takes the other's.
 *
 * What is kept is counted in memory, where it costs nothing to ask: from the rows at the start, and then as this process changes
 * them. What other processes do at the same database is seen when the rows are counted anew.
 */
import { AppError } from '@waybill/common/errors.ts';

/** Bytes of one owner: `<kind> <name>`. Of a change, less than 0 are those that are gone. */
export type OwnedBytes = { owner: string; bytes: number };

/**
 * Says by how much more there is of each owner, in place of what was said before.
 *
 * @throws AppError `keys-full` where that is more than there is room for.
 */
export type Change = (...changed: OwnedBytes[]) => void;

export type KeptRoom = {
  /** @throws AppError `keys-full` where nothing more is let in of this owner. */
  assertRoom(owner: string): void;
  /** Runs what changes rows: what it has said last by `change` counts from then on and, unless it fails, after it. */
  changing<T>(work: (change: Change) => Promise<T>): Promise<T>;
  /** Counts anew, by what `sum` reads of the rows. What is added meanwhile may count twice, and what is removed still, until the next time. */
  count(sum: () => Promise<readonly OwnedBytes[]>): Promise<void>;
  /** Bytes of each kind. */
  bytes(): ReadonlyMap<string, number>;
};

export type KeptRoomOptions = {
  /** Most bytes of all owners of one kind. */
  maxBytes: number;
  /** Most bytes of one owner. */
  maxOwnerBytes: number;
  /** Called with who was refused, and with nothing where somebody is let in. */
  onRefused?: (owner: string | undefined) => void;
};

/** Creates {@link KeptRoom}, in which nothing is yet. */
export function createKeptRoom({ maxBytes, maxOwnerBytes, onRefused }: KeptRoomOptions): KeptRoom {
  let ofKind = new Map<string, number>();
  let ofOwner = new Map<string, number>();
  type Run = { changed: readonly OwnedBytes[] };
  const underWay = new Set<Run>();
  /** What a count of the rows may not see: what was under way when it began, and has begun since. */
  let unseen: Set<Run> | undefined;

  function add({ owner, bytes }: OwnedBytes, sign = 1): void {
    addTo(ofKind, kindOf(owner), sign * bytes);
    addTo(ofOwner, owner, sign * bytes);
  }

  function assertRoom(owner: string, bytes = 1): void {
    const kept = ofKind.get(kindOf(owner)) ?? 0;
    const own = ofOwner.get(owner) ?? 0;
    const isLetIn = kept + bytes <= maxBytes && own + bytes <= maxOwnerBytes;
    onRefused?.(isLetIn ? undefined : owner);
    if (!isLetIn) throw new AppError('keys-full', 'too much is kept under keys');
  }

  function change(run: Run, changed: readonly OwnedBytes[]): void {
    for (const each of run.changed) add(each, -1);
    run.changed = [];
    for (const { owner, bytes } of changed) if (bytes > 0) assertRoom(owner, bytes);
    for (const each of changed) add(each);
    run.changed = changed;
  }

  return {
    assertRoom,
    async changing(work) {
      const run: Run = { changed: [] };
      underWay.add(run);
      unseen?.add(run);
      try {
        return await work((...changed) => change(run, changed));
      } catch (error) {
        change(run, []);
        throw error;
      } finally {
        underWay.delete(run);
      }
    },
    async count(sum) {
      const runs = new Set(underWay);
      unseen = runs;
      try {
        const sums = await sum();
        ofKind = new Map();
        ofOwner = new Map();
        for (const each of sums) add(each);
        for (const { changed } of runs) for (const each of changed) if (each.bytes > 0) add(each);
      } finally {
        unseen = undefined;
      }
    },
    bytes: () => ofKind,
  };
}

function kindOf(owner: string): string {
  return owner.slice(0, owner.indexOf(' '));
}

/** One that has nothing takes no room here either: owners may be many, and others each day. */
function addTo(sums: Map<string, number>, name: string, bytes: number): void {
  const sum = (sums.get(name) ?? 0) + bytes;
  if (sum === 0) sums.delete(name);
  else sums.set(name, sum);
}
