import { type Alarm, createAlarm } from './alarm.ts';

/** By which messages expire. */
export type Clock = {
  /** Milliseconds since the epoch. */
  nowMs(): number;
  /** Creates an alarm that is never due until it is set. */
  createAlarm(onTime: () => void): Alarm;
};

/** The time of this machine. */
export const systemClock: Clock = { nowMs: Date.now, createAlarm };

/** A clock that stands still until it is moved. */
export type ManualClock = Clock & {
  /** When the next alarm is due; `Infinity` when none is set. */
  nextMs(): number;
  /** Moves on to `atMs`, and calls back for the alarms that are due by then, in the order of their times. */
  moveTo(atMs: number): void;
};

/** Creates a {@link ManualClock} that shows the time of now. */
export function createManualClock(): ManualClock {
  const alarms = new Map<() => void, number>();
  let nowMs = Date.now();

  function first(): [onTime: () => void, atMs: number] | undefined {
    return [...alarms].sort(([, a], [, b]) => a - b)[0];
  }

  return {
    nowMs: () => nowMs,
    createAlarm: (onTime) => ({
      set(atMs) {
        if (atMs === Infinity) alarms.delete(onTime);
        else alarms.set(onTime, atMs);
      },
      clear: () => void alarms.delete(onTime),
    }),
    nextMs: () => first()?.[1] ?? Infinity,
    moveTo(untilMs) {
      for (let due = first(); due && due[1] <= untilMs; due = first()) {
        const [onTime, atMs] = due;
        alarms.delete(onTime);
        nowMs = Math.max(nowMs, atMs);
        onTime();
      }
      nowMs = Math.max(nowMs, untilMs);
    },
  };
}
