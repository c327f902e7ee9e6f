/**
 * Hands over what comes from the mailbox, one after the other, and acknowledges it, all up to some place at once.
 *
 * What waits here when a link ends is dropped, since the next link goes on behind what is done with, and so does the next stream of
 * the same link. So of all that comes twice, only the one that is being handled is left out.
 */
import type { Link, Message } from './link.ts';

/** Acknowledged this long after it was done with, or at once when so many are. */
const ACKNOWLEDGE_MS = 50;
const ACKNOWLEDGE_AT = 32;

/** What came with a token. */
export type Entry = Message & { token: string };

export type Handover = {
  /** The last token that is done with. */
  token(): string | undefined;
  /** The same, to go on behind it: what waits is dropped, since it comes again. */
  resume(): string | undefined;
  opened(link: Link): void;
  lost(): void;
  /** Takes one that has come, and hands it over in its turn unless `isSettled` says, now, that it is done with. */
  take(entry: Entry, isSettled: () => boolean): void;
  /** Resolves when all that came is done with, and acknowledged as far as it can be. */
  settled(): Promise<void>;
  /** Hands over nothing more. */
  stop(): void;
};

/**
 * Creates {@link Handover}.
 *
 * @param options.after the token from which to go on.
 * @param options.onEvent what takes one; it is done with when what this returns has resolved.
 * @param options.onFailed told why `onEvent` has failed; nothing is handed over any more.
 */
export function createHandover({
  after,
  onEvent,
  onFailed,
}: {
  after: string | undefined;
  onEvent(entry: Entry): unknown;
  onFailed(error: unknown): void;
}): Handover {
  const queue: { entry: Entry; isSettled: boolean }[] = [];
  let link: Link | undefined;
  /** The last that came over this link, that was begun with, and that is done with. */
  let come: string | undefined;
  let begun: Entry | undefined;
  let done = after;
  let unacknowledged = 0;
  let isHanding = false;
  let isStopped = false;
  let settling = Promise.withResolvers<void>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** Not what this link has not brought yet: public-web refuses that. */
  function acknowledge(): void {
    clearTimeout(timer);
    timer = undefined;
    unacknowledged = 0;
    if (done !== undefined && come !== undefined && !isBehind(come, done)) link?.acknowledge(done);
  }

  function note(): void {
    unacknowledged += 1;
    if (unacknowledged >= ACKNOWLEDGE_AT) acknowledge();
    else timer ??= setTimeout(acknowledge, ACKNOWLEDGE_MS);
  }

  async function handOver(): Promise<void> {
    if (isHanding) return;
    isHanding = true;
    settling = Promise.withResolvers();
    try {
      for (let next = queue.shift(); next && !isStopped; next = queue.shift()) {
        begun = next.entry;
        if (!next.isSettled) await onEvent(begun);
        done = begun.token;
        note();
      }
    } catch (error) {
      isStopped = true;
      onFailed(error);
    }
    isHanding = false;
    settling.resolve();
  }

  return {
    token: () => done,
    resume() {
      queue.length = 0;
      return done;
    },
    opened(opened) {
      link = opened;
      come = undefined;
    },
    lost() {
      link = undefined;
      queue.length = 0;
    },
    take(entry, isSettled) {
      come = entry.token;
      if (begun?.token === entry.token && begun.id === entry.id) return note();
      queue.push({ entry, isSettled: isSettled() });
      void handOver();
    },
    async settled() {
      if (isHanding && !isStopped) await settling.promise;
      acknowledge();
    },
    stop() {
      isStopped = true;
      clearTimeout(timer);
      settling.resolve();
    },
  };
}

/** Whether a token is behind another one; those of another epoch are. */
function isBehind(token: string, other: string): boolean {
  const [epoch, offset] = token.split('.');
  const [otherEpoch, otherOffset] = other.split('.');
  return epoch !== otherEpoch || Number(offset) < Number(otherOffset);
}
