/** Keeps one neighbour connected: asks whether it is there, and connects again where it is not. */
import { setTimeout as delay } from 'node:timers/promises';
import { backOff } from '@waybill/common/back-off.ts';
import { type AppError, toAppError } from '@waybill/common/errors.ts';
import type { Neighbour } from './neighbour.ts';

/** How often a neighbour is asked, by default; and how long it may take to answer that, and a Connect. */
const CHECK_MS = 2_000;
const ANSWER_MS = 2_000;
const CONNECT_MS = 3_000;
/** Silent checks after which a connection has failed; a refused one has at once. One that has answered a call meanwhile is neither. */
const MAX_SILENT = 2;
/** A mesh that heals is whole again within 10 s: one try may have been lost, and the next be as late as this. */
export const RECONNECT = { baseMs: 250, capMs: 2_000 };
/** Reasons in a row that are told: a peer may have a new one each time. */
const MAX_REASONS = 5;
/** For how long a peer that came to this site is called where it is no more. */
export const GIVE_UP_MS = 10 * 60_000;
/**
 * After so many checks (30 s by default) a neighbour is sent a Connect though it is there: it answers health checks of anybody,
 * also when it has given this site up, or has heard less than it was told.
 */
const CHECKS_PER_CONNECT = 15;

/**
 * Runs until the neighbour is stopped, or is one that this site does not want by itself and has been gone for ten minutes, when
 * `giveUp` is called. Never rejects.
 */
export async function keepConnected(
  neighbour: Neighbour,
  {
    dial,
    giveUp,
    onFailed = () => {},
    checkMs = CHECK_MS,
  }: {
    dial(options: { deadlineMs: number }): Promise<unknown>;
    giveUp(): void;
    /** Gets why the neighbour cannot be reached or connected, of several tries in a row each reason once. */
    onFailed?(reason: string): void;
    checkMs: number | undefined;
  },
): Promise<void> {
  const { signal } = neighbour;
  let failures = 0;
  let silent = 0;
  let checks = 0;
  const reasons = new Set<string>();
  let lastSeenMs = performance.now();
  const isKnown = () => neighbour.isActive() && !neighbour.isForgotten() && neighbour.peerId() !== '';

  const isToBeKept = () =>
    neighbour.isWanted() || neighbour.isActive() || performance.now() - lastSeenMs < GIVE_UP_MS;

  for (let round = 0; isToBeKept(); round += 1) {
    if (failures === 0 && isKnown()) await delay(checkMs, undefined, { signal, ref: false }).catch(() => {});
    // Also after a success, or a peer that drops each connection as soon as it is made would be connected at any rate.
    else if (round > 0) await backOff(Math.max(1, failures), { ...RECONNECT, signal });
    if (signal.aborted) return;
    const askedMs = performance.now();
    try {
      await ask();
    } catch (thrown) {
      const isBusy = neighbour.heardMs() > askedMs;
      await (isBusy ? noteThere() : noteFailure(toAppError(thrown)));
    }
  }
  giveUp();

  async function ask(): Promise<void> {
    if (!isKnown() || checks >= CHECKS_PER_CONNECT) {
      await dial({ deadlineMs: CONNECT_MS });
      checks = 0;
    }
    await neighbour.check({ deadlineMs: ANSWER_MS });
    checks += 1;
    reasons.clear();
    await noteThere();
  }

  async function noteThere(): Promise<void> {
    neighbour.noteHealth(false);
    await neighbour.saveCounts();
    [failures, silent, lastSeenMs] = [0, 0, performance.now()];
  }

  async function noteFailure({ code, message }: AppError): Promise<void> {
    failures += 1;
    silent += 1;
    neighbour.noteHealth(true);
    if (signal.aborted) return;
    if (code === 'not-accepted' || silent >= MAX_SILENT) await neighbour.end('FAILED', message);
    if (signal.aborted || reasons.has(message) || reasons.size >= MAX_REASONS) return;
    reasons.add(message);
    onFailed(message);
  }
}
