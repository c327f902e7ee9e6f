/** The peers that are said goodbye to for good, and have not heard it yet. */
import { backOff } from '@waybill/common/back-off.ts';
import { GIVE_UP_MS, RECONNECT } from './keep-connected.ts';
import type { Neighbour } from './neighbour.ts';

export type Goodbyes = {
  /**
   * Ends the connection of a neighbour for good, and closes it when its peer has heard so, or has been told for ten minutes. Resolves
   * when the connection has ended.
   */
  say(neighbour: Neighbour, reason: string): Promise<void>;
  /** Whether whoever is at the address, or has the id, has not yet heard that it is connected no more. */
  isLeaving(address: string, peerId: string): boolean;
  /** Says goodbye to who is at the address no longer: what is still on its way would end the connection that is made next. */
  cancel(address: string): Promise<void>;
  close(): Promise<void>;
};

/** Creates the {@link Goodbyes} of one site; `tell` says one, and resolves when it is answered. */
export function createGoodbyes(tell: (neighbour: Neighbour) => Promise<unknown>): Goodbyes {
  const leaving = new Map<string, { neighbour: Neighbour; told: AbortController; done: Promise<void> }>();

  async function cancel(address: string): Promise<void> {
    const left = leaving.get(address);
    left?.told.abort();
    await left?.done;
  }

  return {
    async say(neighbour, reason) {
      const { address } = neighbour;
      const first = tell(neighbour);
      const told = new AbortController();
      const ended = first.catch(() => {}).then(() => neighbour.endForGood(reason));
      const done = first
        .catch(() => tellAgain(() => tell(neighbour), told.signal))
        .then(() => leaving.delete(address))
        .then(() => ended)
        .then(neighbour.close);
      leaving.set(address, { neighbour, told, done });
      await ended;
    },
    isLeaving(address, peerId) {
      const isOf = ({ neighbour }: { neighbour: Neighbour }) => neighbour.connection()?.peerId === peerId;
      return leaving.has(address) || (peerId !== '' && [...leaving.values()].some(isOf));
    },
    cancel,
    async close() {
      await Promise.all([...leaving.keys()].map(cancel));
    },
  };
}

/** Calls `tell` with back-off until it resolves, `signal` aborts, or ten minutes have passed. Never rejects. */
async function tellAgain(tell: () => Promise<unknown>, signal: AbortSignal): Promise<void> {
  const startedMs = performance.now();
  for (let failures = 1; performance.now() - startedMs < GIVE_UP_MS; failures += 1) {
    await backOff(failures, { ...RECONNECT, signal });
    if (signal.aborted) return;
    const isHeard = await tell().then(
      () => true,
      () => false,
    );
    if (isHeard) return;
  }
}
