/**
 * What a process knows of the exchanges, queues and bindings that it declares: whether they were all there when it looked
 * last. It looks whenever it connects again, and every {@link KEEP_INTERVAL_MS}; whatever was gone is declared anew then.
 */
import type { Logger } from 'pino';

/** Somebody deletes an exchange, and its bindings with it: so long until every listener has bound its types again. */
export const KEEP_INTERVAL_MS = 2_000;
/** Every process has looked by then. */
const SETTLE_MS = 2 * KEEP_INTERVAL_MS;

export type TopologyWatch = {
  /** A look found all there but what has these names, which is declared anew. */
  found(missing: readonly string[]): void;
  /** Something cannot be declared: it is there with other arguments, or the user may not. */
  failed(reason: string): void;
  /** Something else that may be of the topology has failed; is trouble for a while. */
  note(trouble: string): void;
  /** A connection to the broker has failed, or is there. */
  notConnected(reason: string): void;
  connected(): void;
  /** Why there was no connection at the last try; undefined if that went well. */
  whyNotConnected(): string | undefined;
  /** What is wrong now, or was until a moment ago; for readiness. */
  trouble(): string | undefined;
};

/** Creates the {@link TopologyWatch} of a process, which logs what it is told. */
export function createTopologyWatch({ log }: { log: Logger }): TopologyWatch {
  let failure: string | undefined;
  let connectFailure: string | undefined;
  let noted = { trouble: '', untilMs: Number.NEGATIVE_INFINITY };

  function note(trouble: string): void {
    noted = { trouble, untilMs: performance.now() + SETTLE_MS };
  }

  return {
    found(missing) {
      if (failure !== undefined) log.info('the topology is declared again');
      failure = undefined;
      if (missing.length === 0) return;
      log.warn({ missing }, 'what was gone from the broker is declared anew');
      note(`gone from the broker, and declared anew: ${missing.join(', ')}`);
    },
    failed(reason) {
      if (reason !== failure) log.error({ reason }, 'declaring the topology failed');
      failure = reason;
    },
    note,
    notConnected(reason) {
      connectFailure = reason;
    },
    connected() {
      connectFailure = undefined;
    },
    whyNotConnected: () => connectFailure,
    trouble() {
      if (failure !== undefined) return `declaring the topology failed: ${failure}`;
      return performance.now() < noted.untilMs ? noted.trouble : undefined;
    },
  };
}
