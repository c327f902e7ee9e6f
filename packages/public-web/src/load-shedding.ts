/**
 * Refuses at once what could not be answered in time.
 *
 * Events beyond what listeners can do wait in the broker, first come, first served. Once they wait for longer than
 * their deadline, listeners start each just before it expires, and nothing is answered any more. So an event is refused
 * when those of its type that came after the newest answered one would, at the rate of the answers, take most of its
 * deadline. (What is older than an answered one is lost or slow, but not in the way.)
 *
 * What listeners can do shows only while many wait: a quiet type may be able to do far more than it is asked for. But it
 * can do as much as it did a moment ago: so a hiccup is not taken for an end. Events and answers are those of this
 * instance: instances share what listeners can do in the proportion in which they use it.
 */
import { AppError } from '@waybill/common/errors.ts';

/** Fewer that wait are never too many: one message to a listener. */
const MIN_WAITING = 16;
/** Part of the deadline that may pass in the queue. The rest is for the handler, and for rates that change. */
const MAX_WAIT = 0.75;
/** Part of the deadline for which many must have waited before a rate is believed: the handler may just be slow. */
const MIN_BUSY = 0.25;
/** Part of the deadline after which one event is let in to see whether it is answered. */
const PROBE_AFTER = 0.05;
/** Types that were never answered are forgotten when nothing of them is under way; of more than this the oldest. */
const MAX_TYPES = 1_000;
/** How fast the past is forgotten: an answer of 5 s ago counts a third. */
const MEMORY_MS = 5_000;

export type LoadShedding = {
  /**
   * Counts an event in.
   *
   * @throws AppError `not-accepted` when no reply can be expected within `deadlineMs`.
   */
  enter(type: string, deadlineMs: number): Entered;
};

/** To be told how it ended. When nobody knows, it may still wait in the broker: then nothing is to be told. */
export type Entered = {
  answered(): void;
  /** It never got to the broker, or no queue took it. */
  refused(): void;
};

type Lane = {
  /** How many came, the number of the newest whose end is known, and when the last came. */
  entered: number;
  newest: number;
  enteredMs: number;
  /** Since when at least {@link MIN_WAITING} wait; undefined while fewer do. */
  busySinceMs: number | undefined;
  /** Answers; of them those while busy, and the time in which these came. All decay alike. */
  answers: number;
  busyAnswers: number;
  busyMs: number;
  updatedMs: number;
};

/** Creates the {@link LoadShedding} of one instance. */
export function createLoadShedding(): LoadShedding {
  const lanes = new Map<string, Lane>();

  function laneOf(type: string): Lane {
    const existing = lanes.get(type);
    if (existing) return existing;
    const [oldest] = lanes.size < MAX_TYPES ? [] : lanes.keys();
    if (oldest !== undefined) lanes.delete(oldest);
    const lane = {
      ...{ entered: 0, newest: 0, enteredMs: 0 },
      ...{ busySinceMs: undefined, answers: 0, busyAnswers: 0, busyMs: 0, updatedMs: 0 },
    };
    lanes.set(type, lane);
    return lane;
  }

  return {
    enter(type, deadlineMs) {
      const lane = laneOf(type);
      age(lane);
      if (isTooLong(lane, deadlineMs))
        throw new AppError('not-accepted', `too many events of type ${type} wait for a reply`);
      lane.entered += 1;
      lane.enteredMs = lane.updatedMs;
      const number = lane.entered;
      noteWaiting(lane);
      const end = () => {
        lane.newest = Math.max(lane.newest, number);
        noteWaiting(lane);
        const isUnused = lane.answers === 0 && lane.newest === lane.entered;
        if (isUnused && lanes.get(type) === lane) lanes.delete(type);
      };
      return {
        answered() {
          age(lane);
          lane.answers += 1;
          if (lane.busySinceMs !== undefined) lane.busyAnswers += 1;
          end();
        },
        refused: end,
      };
    },
  };
}

function noteWaiting(lane: Lane): void {
  if (lane.entered - lane.newest >= MIN_WAITING) lane.busySinceMs ??= lane.updatedMs;
  else Object.assign(lane, { busySinceMs: undefined, busyAnswers: 0, busyMs: 0 });
}

function age(lane: Lane): void {
  const nowMs = performance.now();
  const kept = Math.exp((lane.updatedMs - nowMs) / MEMORY_MS);
  lane.updatedMs = nowMs;
  lane.answers *= kept;
  lane.busyAnswers *= kept;
  if (lane.busySinceMs !== undefined) lane.busyMs = lane.busyMs * kept + MEMORY_MS * (1 - kept);
}

function isTooLong(lane: Lane, deadlineMs: number): boolean {
  const { busySinceMs, updatedMs } = lane;
  if (busySinceMs === undefined || updatedMs - busySinceMs < MIN_BUSY * deadlineMs) return false;
  if (updatedMs - lane.enteredMs > PROBE_AFTER * deadlineMs) return false;
  const perMs = Math.max(lane.answers / MEMORY_MS, lane.busyAnswers / lane.busyMs);
  return lane.entered - lane.newest > perMs * MAX_WAIT * deadlineMs;
}
