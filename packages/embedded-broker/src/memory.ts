/** How much the messages hold, and who is to know when that is too much. */
export type Memory = {
  add(bytes: number): void;
  usedBytes(): number;
  /** Whether publishers are to be blocked. */
  isExceeded(): boolean;
  /** Another limit from now on; 0 blocks every publisher at once, like RabbitMQ's watermark. */
  setLimitBytes(limitBytes: number): void;
  /** Calls back, never within another call, when there is room again. Returns how to stop that. */
  onRelief(callback: () => void): () => void;
};

export function createMemory(limitBytes: number): Memory {
  const callbacks = new Set<() => void>();
  let limit = limitBytes;
  let used = 0;
  let wasExceeded = false;
  const isExceeded = () => limit === 0 || used > limit;

  function look(): void {
    if (wasExceeded === isExceeded()) return;
    wasExceeded = isExceeded();
    if (wasExceeded) return;
    setImmediate(() => {
      for (const callback of callbacks) callback();
    });
  }

  return {
    add(bytes) {
      used += bytes;
      look();
    },
    usedBytes: () => used,
    isExceeded,
    setLimitBytes(value) {
      limit = value;
      look();
    },
    onRelief(callback) {
      callbacks.add(callback);
      return () => callbacks.delete(callback);
    },
  };
}
