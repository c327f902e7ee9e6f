/**
 * Whether this process's clock agrees with its peers', judged by signed calls: a tier whose clock is off by more than
 * the signature window can do nothing, so it refuses readiness and says why.
 */
import type { Readiness } from '../http/http-server.ts';

/** What was seen counts this long: a peer with a wrong clock calls several times a second, and one that agrees outvotes it. */
const RECENT_MS = 10_000;

export type ClockCheck = {
  /** A signed call was accepted, by us or by a peer. */
  agrees(): void;
  /** A correctly signed call was refused for its time; the peer's clock is ahead of ours by `skewMs`, or behind. */
  differs(skewMs: number): void;
  /** Whether a peer agreed in the last 10 s. */
  isConfirmed(): boolean;
  /** Why the process is not ready: a peer differed in the last 10 s, and none agreed. */
  readiness: Readiness;
};

/** Creates a {@link ClockCheck}; `nowMs` is a monotonic clock. */
export function createClockCheck({ nowMs = () => performance.now() } = {}): ClockCheck {
  let agreedMs = Number.NEGATIVE_INFINITY;
  let differedMs = Number.NEGATIVE_INFINITY;
  let fault = '';
  const isRecent = (ms: number) => ms >= nowMs() - RECENT_MS;
  return {
    agrees() {
      agreedMs = nowMs();
    },
    differs(skewMs) {
      const seconds = Math.round(Math.abs(skewMs) / 1000);
      fault = `the clock of a peer is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} this one's`;
      differedMs = nowMs();
    },
    isConfirmed: () => isRecent(agreedMs),
    readiness: () => (isRecent(differedMs) && !isRecent(agreedMs) ? fault : undefined),
  };
}
