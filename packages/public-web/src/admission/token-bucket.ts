/**
 * A token bucket: `rate` tokens a second flow in, `burst` fit.
 *
 * Own code, because a request is worth as many tokens as its batch has events, and gRPC calls count too:
 * `@fastify/rate-limit` counts HTTP requests, in windows, at whose edges twice the rate passes.
 */

export type TokenBucket = {
  /**
   * Takes `count` tokens, less those `taken` before for the same, and returns 0; or takes none and returns after how
   * many milliseconds they will be there.
   *
   * More than ever fit are had from a full bucket, and then owed: a large batch passes, and what follows waits for it.
   */
  take(count: number, taken?: number): number;
};

/** Creates a full one. `nowMs` is a monotonic clock. */
export function createTokenBucket({
  rate,
  burst = Math.max(1, rate),
  nowMs = () => performance.now(),
}: {
  /** Tokens per second. */
  rate: number;
  /** Default: those of one second, at least 1. */
  burst?: number;
  nowMs?: () => number;
}): TokenBucket {
  let tokens = burst;
  let filledMs = nowMs();
  return {
    take(count, taken = 0) {
      const now = nowMs();
      tokens = Math.min(burst, tokens + ((now - filledMs) / 1000) * rate);
      filledMs = now;
      const missing = Math.min(count, burst) - taken - tokens;
      if (missing > 0) return (missing / rate) * 1000;
      tokens -= count - taken;
      return 0;
    },
  };
}
