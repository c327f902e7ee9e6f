/** Keeps one neighbour connected: asks whether it is there, and connects again where it is not. */
import { setTimeout as delay } from 'node:timers/promises';
import { backOff } from '@waybill/common/back-off.ts';
import { toAppError } from '@waybill/common/errors.ts';
import type { Neighbour } from './neighbour.ts';

/** How often a neighbour is asked, by default; and how long it may take to answer. */
const CHECK_MS = 2_000;
const ANSWER_MS = 2_000;
/** Silent checks after which a connection has failed; a refused one has at once. */
const MAX_SILENT = 2;
/** A mesh that heals is whole again within 10 s. */
const RECONNECT = { baseMs: 250, capMs: 4_000 };
/** For how long a peer that came to this site is called where it is no more. */
const GIVE_UP_MS = 10 * 60_000;

/**
 * Runs until the neighbour is closed, or is one that this site does not want by itself and has been gone for ten minutes.
 * Never rejects.
 */
export async function keepConnected(
  neighbour: Neighbour,
  {
    dial,
    isWanted,
    checkMs = CHECK_MS,
  }: { dial(): Promise<unknown>; isWanted: boolean; checkMs: number | undefined },
): Promise<void> {
  const { signal } = neighbour;
  let failures = 0;
  let silent = 0;
  let lastSeenMs = performance.now();

  while (!signal.aborted && (isWanted || performance.now() - lastSeenMs < GIVE_UP_MS)) {
    const isKnown = neighbour.isActive() && !neighbour.isForgotten() && neighbour.peerId() !== '';
    if (isKnown) await delay(checkMs, undefined, { signal, ref: false }).catch(() => {});
    else if (failures > 0) await backOff(failures, { ...RECONNECT, signal });
    if (signal.aborted) return;
    try {
      await (isKnown && !neighbour.isForgotten() ? neighbour.check({ deadlineMs: ANSWER_MS }) : dial());
      neighbour.noteHealth(false);
      await neighbour.saveCounts();
      [failures, silent, lastSeenMs] = [0, 0, performance.now()];
    } catch (thrown) {
      failures += 1;
      silent += 1;
      neighbour.noteHealth(true);
      const { code, message } = toAppError(thrown);
      if (!signal.aborted && (code === 'not-accepted' || silent >= MAX_SILENT))
        await neighbour.end('FAILED', message);
    }
  }
}
