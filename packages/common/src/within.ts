/**
 * Waits for `promise`, but no longer than `deadlineMs`, or not at all when that is over; resolves whether it was in time. Rejects as
 * `promise` does.
 */
export function within(deadlineMs: number, promise: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(false), Math.max(0, deadlineMs));
    promise.then(
      () => {
        clearTimeout(timer);
        resolve(true);
      },
      (error) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}
