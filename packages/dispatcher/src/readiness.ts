import type { Broker, Publisher, Subscriber } from '@waybill/common/broker/ports.ts';
import type { Readiness } from '@waybill/common/http/http-server.ts';
import type { ClockCheck } from '@waybill/common/internal-call/clock-check.ts';

/**
 * Ready means able to answer. A dispatcher that lost its broker answers 503 and stays ready: taking it out of service
 * would tell clients less, and no other dispatcher is better off. One that has not reached the broker yet is not, nor
 * one that has lost half of it, or what it declares there, which is a trouble of its own.
 */
export function createReadiness({
  publisher,
  subscriber,
  watch,
  clock,
}: {
  publisher: Pick<Publisher, 'isConnected'>;
  subscriber: Pick<Subscriber, 'isConnected'>;
  watch: Pick<Broker['watch'], 'trouble' | 'whyNotConnected'>;
  clock: ClockCheck;
}): Readiness {
  let hasReachedBroker = false;
  const because = (what: string) => [what, watch.whyNotConnected() ?? []].flat().join(': ');
  return () => {
    const [publishes, consumes] = [publisher.isConnected(), subscriber.isConnected()];
    hasReachedBroker ||= publishes && consumes;
    const trouble = watch.trouble();
    if (trouble !== undefined) return trouble;
    if (!hasReachedBroker) return because('the broker has not been reached yet');
    if (publishes !== consumes) return because('one of the two connections to the broker is away');
    return clock.readiness();
  };
}
