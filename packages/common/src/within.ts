/**
 * Waits for `promise`, but no longer than `deadlineMs`, or not at all when that is over; resolves whether it was in time. Rejects as
 * `promise` does.
 */
export async function within(deadlineMs: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), Math.max(0, deadlineMs));
  });
  try {
    return await Promise.race([promise.then(() => true), deadline]);
  } finally {
    clearTimeout(timer);
  }
}
