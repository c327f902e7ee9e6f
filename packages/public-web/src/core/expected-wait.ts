/**
 * Refuses at once what could not be answered in time.
 *
 * Events beyond what listeners can do wait in the broker, first come, first served. Once they wait for longer than their
 * deadline, listeners start each just before it expires, and nothing is answered any more. So an event is refused when
 * those that wait before it would, at the rate of the answers, take most of its deadline.
 *
 * Those are the requests of its type, and of about its deadline, that are still open and came after the newest answered
 * one: what is older than an answered one is lost or slow, but not in the way. All are of this instance: instances share
 * what listeners can do in the proportion in which they use it.
 */
import { AppError } from '@waybill/common/errors.ts';

/** Fewer that wait are never too many: one message to a listener. */
const MIN_WAITING = 16;
/** Part of the deadline that may pass in the queue. The rest is for the handler, and for rates that change. */
const MAX_WAIT = 0.75;
/** Part of the deadline for which answers must have come, while many wait, before their rate is believed. */
const MIN_MEASURED = 0.25;
/** Part of the deadline after which one is let in to see whether it is answered. */
const PROBE_AFTER = 0.05;
/** How fast a rate is forgotten: an answer of 5 s ago counts a third. */
const MEMORY_MS = 5_000;

export type ExpectedWait = {
  /**
   * Counts a request in. Returns what is to be called once at its end, with whether it was answered.
   *
   * @throws AppError `not-accepted` when no reply can be expected within `deadlineMs`.
   */
  enter(type: string, deadlineMs: number): (isAnswered: boolean) => void;
};

type Lane = {
  /** Numbers of the requests that wait, in the order in which they came. */
  waiting: Set<number>;
  enteredMs: number;
  /** Since when at least {@link MIN_WAITING} wait, and since when answers come meanwhile. */
  busySinceMs: number | undefined;
  measuredSinceMs: number | undefined;
  /** Those answers, and the time in which they came. Both decay alike. */
  answers: number;
  measuredMs: number;
  updatedMs: number;
};

/** Creates the {@link ExpectedWait} of one instance. */
export function createExpectedWait(): ExpectedWait {
  /** Of what is open. By deadline too, or those who can only wait for a moment would tell what others may expect. */
  const lanes = new Map<string, Lane>();
  let lastNumber = 0;
  /** Nearly all are of the same lane as the one before. */
  let last = { type: '', deadlineMs: 0, key: '' };

  function keyOf(type: string, deadlineMs: number): string {
    if (type !== last.type || deadlineMs !== last.deadlineMs)
      last = { type, deadlineMs, key: `${type} ${Math.floor(Math.log2(deadlineMs))}` };
    return last.key;
  }

  function laneOf(key: string): Lane {
    const existing = lanes.get(key);
    if (existing) return existing;
    const lane: Lane = { waiting: new Set(), enteredMs: 0, updatedMs: 0, ...NOT_BUSY };
    lanes.set(key, lane);
    return lane;
  }

  return {
    enter(type, deadlineMs) {
      const key = keyOf(type, deadlineMs);
      const lane = laneOf(key);
      age(lane);
      if (isTooLong(lane, deadlineMs))
        throw new AppError('not-accepted', `too many events of type ${type} wait for a reply`);
      lastNumber += 1;
      const number = lastNumber;
      lane.waiting.add(number);
      lane.enteredMs = lane.updatedMs;
      noteWaiting(lane);
      return (isAnswered) => {
        age(lane);
        if (isAnswered) noteAnswer(lane, number);
        lane.waiting.delete(number);
        noteWaiting(lane);
        if (lane.waiting.size === 0 && lanes.get(key) === lane) lanes.delete(key);
      };
    },
  };
}

const NOT_BUSY = { busySinceMs: undefined, measuredSinceMs: undefined, answers: 0, measuredMs: 0 };

function noteWaiting(lane: Lane): void {
  if (lane.waiting.size >= MIN_WAITING) lane.busySinceMs ??= lane.updatedMs;
  else Object.assign(lane, NOT_BUSY);
}

function noteAnswer(lane: Lane, number: number): void {
  if (lane.busySinceMs !== undefined) {
    lane.measuredSinceMs ??= lane.updatedMs;
    lane.answers += 1;
  }
  for (const older of lane.waiting) {
    if (older > number) break;
    lane.waiting.delete(older);
  }
}

function age(lane: Lane): void {
  const nowMs = performance.now();
  const kept = Math.exp((lane.updatedMs - nowMs) / MEMORY_MS);
  lane.updatedMs = nowMs;
  if (lane.measuredSinceMs === undefined) return;
  lane.answers *= kept;
  lane.measuredMs = lane.measuredMs * kept + MEMORY_MS * (1 - kept);
}

function isTooLong(lane: Lane, deadlineMs: number): boolean {
  const { waiting, updatedMs, busySinceMs, measuredSinceMs, answers, measuredMs } = lane;
  if (busySinceMs === undefined || updatedMs - lane.enteredMs > PROBE_AFTER * deadlineMs) return false;
  // Before the first answer there is no rate: the handler may be slow.
  if (measuredSinceMs === undefined) return updatedMs - busySinceMs > MAX_WAIT * deadlineMs;
  if (updatedMs - measuredSinceMs < MIN_MEASURED * deadlineMs) return false;
  return waiting.size * measuredMs > answers * MAX_WAIT * deadlineMs;
}
