/**
 * Whether this process's clock agrees with its peers', judged by signed calls: a tier whose clock is off by more than
 * the signature window can do nothing, so it refuses readiness and says why (faults.md, Security).
 */
import type { Readiness } from './http-server.ts';

export type ClockCheck = {
  /** A signed call was accepted, by us or by a peer. */
  agrees(): void;
  /** A correctly signed call was refused for its time; the peer's clock is ahead of ours by `skewMs`, or behind. */
  differs(skewMs: number): void;
  /** Why the process is not ready, if the last that was seen is a difference. */
  readiness: Readiness;
};

/** Creates a {@link ClockCheck}. */
export function createClockCheck(): ClockCheck {
  let fault: string | undefined;
  return {
    agrees() {
      fault = undefined;
    },
    differs(skewMs) {
      const seconds = Math.round(Math.abs(skewMs) / 1000);
      fault = `the clock of a peer is ${seconds} s ${skewMs > 0 ? 'ahead of' : 'behind'} this one's`;
    },
    readiness: () => fault,
  };
}
