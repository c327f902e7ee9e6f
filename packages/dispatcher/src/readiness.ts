import type { ClockCheck } from '@waybill/common/clock-check.ts';
import type { Readiness } from '@waybill/common/http-server.ts';

/**
 * Ready means able to answer. A dispatcher that lost its broker answers 503 and stays ready: taking it out of service
 * would tell clients less, and no other dispatcher is better off. One that has not reached the broker yet is not.
 */
export function createReadiness({
  isStopping,
  isBrokerAvailable,
  clock,
}: {
  isStopping(): boolean;
  isBrokerAvailable(): boolean;
  clock: ClockCheck;
}): Readiness {
  let hasReachedBroker = false;
  return () => {
    hasReachedBroker ||= isBrokerAvailable();
    if (isStopping()) return 'stopping';
    return hasReachedBroker ? clock.readiness() : 'the broker has not been reached yet';
  };
}
