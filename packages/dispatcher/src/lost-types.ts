/**
 * Tells a type that no listener takes from one whose queue or binding is gone for the moment: both come back unroutable.
 * What listeners declare that they take outlives both, and is asked for then.
 */
import type { Broker, Publisher, PublishOutcome } from '@waybill/common/broker/ports.ts';
import type { Logger } from 'pino';

export type LostTypes = {
  /** What is really the outcome of a message of `type`: `not-accepted` when it is unroutable and should not be. */
  judge(type: string, outcome: PublishOutcome): Promise<PublishOutcome>;
};

export function createLostTypes({
  publisher,
  watch,
  log,
}: {
  publisher: Pick<Publisher, 'isDeclared'>;
  watch: Pick<Broker['watch'], 'note'>;
  log: Logger;
}): LostTypes {
  /** No more than listeners have declared: a type whose answer did not come may be one that a client made up. */
  const lost = new Set<string>();

  return {
    async judge(type, outcome) {
      if (outcome === 'confirmed' && lost.delete(type))
        log.info({ event_type: type }, 'a queue takes the type again');
      if (outcome !== 'unroutable') return outcome;
      const isDeclared = await publisher.isDeclared(type);
      if (isDeclared === false) {
        lost.delete(type);
        return 'unroutable';
      }
      if (isDeclared && !lost.has(type)) {
        lost.add(type);
        log.warn({ event_type: type }, 'no queue takes a type that a listener has declared');
        // Not for as long as it lasts: it is one type, and this dispatcher serves the others.
        watch.note(`no queue takes ${type}, which a listener has declared`);
      }
      return 'not-accepted';
    },
  };
}
