import type { Readiness } from '@waybill/common/http-server.ts';

/**
 * Ready means able to answer. A dispatcher that lost its broker answers 503 and stays ready: taking it out of service
 * would tell clients less, and no other dispatcher is better off. One that has not reached the broker yet is not.
 */
export function createReadiness({
  isStopping,
  isBrokerAvailable,
}: {
  isStopping(): boolean;
  isBrokerAvailable(): boolean;
}): Readiness {
  let hasReachedBroker = false;
  return () => {
    hasReachedBroker ||= isBrokerAvailable();
    if (isStopping()) return 'stopping';
    return hasReachedBroker ? undefined : 'the broker has not been reached yet';
  };
}
