/** Which neighbours of a site are kept connected: each that is has one {@link keepConnected}, until it is stopped or given up. */
import type { Dial } from './dial.ts';
import { keepConnected } from './keep-connected.ts';
import type { MeshLog, Neighbour } from './neighbour.ts';

export type Keeper = {
  /** Keeps a neighbour connected from now on; nothing new for one that is. */
  keep(neighbour: Neighbour): void;
  /** Whether it is, or was. */
  isKept(neighbour: Neighbour): boolean;
};

/** Creates the {@link Keeper} of one site. `giveUp` gets what is not to be kept any more. */
export function createKeeper({
  dial,
  giveUp,
  checkMs,
  log,
}: {
  dial: Dial;
  giveUp(neighbour: Neighbour): void;
  checkMs: number | undefined;
  log: MeshLog;
}): Keeper {
  const kept = new WeakSet<Neighbour>();

  return {
    keep(neighbour) {
      if (kept.has(neighbour)) return;
      kept.add(neighbour);
      const { address, name } = neighbour;
      void keepConnected(neighbour, {
        dial: (options) => dial(neighbour, options),
        giveUp: () => giveUp(neighbour),
        onFailed: (reason) =>
          log.warn({ peer_address: address, peer: name, reason }, 'peer of the mesh cannot be reached'),
        checkMs,
      });
    },
    isKept: (neighbour) => kept.has(neighbour),
  };
}
