/** How long nothing has failed when it is said that all works again. */
const CALM_MS = 10_000;

/**
 * Creates what is told how each call went, with why it failed where it has, and says when calls begin to fail and when they work again.
 * Where they fail and succeed by turns, as those that write and those that read on a full disk, each would be a line otherwise.
 */
export function createOutage<Reason>({
  onBegun,
  onOver,
  nowMs = () => performance.now(),
}: {
  onBegun(reason: Reason): void;
  /** Called once none has failed for ten seconds, by the first that succeeds then. */
  onOver(): void;
  /** A monotonic clock. */
  nowMs?: () => number;
}): (reason: Reason | undefined) => void {
  let failedMs: number | undefined;
  return (reason) => {
    if (reason !== undefined) {
      if (failedMs === undefined) onBegun(reason);
      failedMs = nowMs();
    } else if (failedMs !== undefined && nowMs() - failedMs >= CALM_MS) {
      failedMs = undefined;
      onOver();
    }
  };
}
