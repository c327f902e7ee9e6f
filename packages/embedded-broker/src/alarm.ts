/** Calls back once at a time that may be moved. */
export type Alarm = {
  /** Replaces the time set before; `Infinity` means never. */
  set(atMs: number): void;
  clear(): void;
};

/** Node's timers end here; for a later time the alarm sets another. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export function createAlarm(onTime: () => void): Alarm {
  let timer: NodeJS.Timeout | undefined;

  function set(atMs: number): void {
    clearTimeout(timer);
    if (atMs === Infinity) return;
    const leftMs = Math.max(0, atMs - Date.now());
    timer = setTimeout(() => (Date.now() >= atMs ? onTime() : set(atMs)), Math.min(MAX_TIMER_MS, leftMs));
  }

  return { set, clear: () => clearTimeout(timer) };
}
