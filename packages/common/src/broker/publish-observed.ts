/**
 * Copies of events for those who observe their type. A copy changes nothing for the client of the event: it goes to an
 * exchange of its own, so that a type that is only observed stays unroutable; it is written before the event, and
 * nobody waits for its confirm before the event goes on.
 *
 * So all that may be handled is observed, at least once, and what turned out to be taken by nobody may be as well. A copy
 * is lost, and the log says so, when the broker does not take it although it takes the event: the queue of the observers is
 * full or does not answer. While the broker takes nothing at all, who holds an event until it is taken keeps its copy as well.
 */
import { LRUCache } from 'lru-cache';
import type { Logger } from 'pino';
import { backOff } from '../back-off.ts';
import type { OutgoingMessage, Publisher, PublishOutcome } from './ports.ts';

/**
 * How long nobody is taken to observe a type of which a copy came back: a service that is the first to observe it misses
 * what is sent in this time after it has bound.
 */
const UNOBSERVED_MS = 2_000;
/** Clients may make up types where a pattern of them is public. */
const MAX_TYPES = 1_000;
/** Copies that are unconfirmed at once: an eighth of what a publisher takes, so that those of a queue that hangs delay no event. */
const MAX_UNCONFIRMED = 512;
const MAX_UNCONFIRMED_BYTES = 8 * 1024 * 1024;
/** Between tries while there is no connection that takes anything. */
const RETRY = { baseMs: 50, capMs: 2_000 };

/**
 * Publishes a copy of a message of `type`, if somebody may observe it. Never rejects; resolves when the broker has it, or will not:
 * false where observers may miss it.
 *
 * @param whileHeld of who holds the event until the broker has taken it: until then the copy is tried again as long as the
 *   broker cannot be reached, or blocks publishers. Without it there is one try.
 */
export type PublishObserved = (
  type: string,
  message: Omit<OutgoingMessage, 'to'>,
  whileHeld?: AbortSignal,
) => Promise<boolean>;

/** Creates {@link PublishObserved}. It asks nobody whether a type is observed: the first copy comes back if it is not. */
export function createPublishObserved({
  publisher,
  log,
}: {
  publisher: Pick<Publisher, 'publish' | 'isAvailable'>;
  log: Pick<Logger, 'info' | 'warn'>;
}): PublishObserved {
  const unobserved = new LRUCache<string, true>({ max: MAX_TYPES, ttl: UNOBSERVED_MS, ttlResolution: 0 });
  const failing = new LRUCache<string, true>({ max: MAX_TYPES });
  let unconfirmed = 0;
  let unconfirmedBytes = 0;

  async function publish(type: string, message: Omit<OutgoingMessage, 'to'>): Promise<PublishOutcome> {
    if (unconfirmed >= MAX_UNCONFIRMED || unconfirmedBytes >= MAX_UNCONFIRMED_BYTES) return 'unknown';
    unconfirmed += 1;
    unconfirmedBytes += message.body.length;
    const outcome = await publisher.publish({ ...message, to: { observed: type } });
    unconfirmed -= 1;
    unconfirmedBytes -= message.body.length;
    return outcome;
  }

  /** A copy that is refused for what it is would be so for ever. */
  async function publishAgain(
    type: string,
    message: Omit<OutgoingMessage, 'to'>,
    whileHeld: AbortSignal,
  ): Promise<PublishOutcome> {
    for (let tries = 1; ; tries += 1) {
      const wasAvailable = publisher.isAvailable();
      const outcome = await publish(type, message);
      const isAway = outcome === 'not-accepted' && !(wasAvailable && publisher.isAvailable());
      if (!isAway || whileHeld.aborted) return outcome;
      await backOff(tries, { ...RETRY, signal: whileHeld });
    }
  }

  return async (type, message, whileHeld) => {
    if (unobserved.has(type)) return true;
    const outcome = await (whileHeld ? publishAgain(type, message, whileHeld) : publish(type, message));
    if (outcome === 'unroutable') unobserved.set(type, true);
    const isTaken = outcome === 'confirmed' || outcome === 'unroutable';
    if (isTaken && failing.delete(type) && outcome === 'confirmed')
      log.info({ event_type: type }, 'observers get copies again');
    // Once, not for each: a queue of observers that is full stays so for a while.
    if (isTaken || failing.has(type)) return isTaken;
    failing.set(type, true);
    log.warn({ event_type: type }, 'observers may miss events: the broker does not take the copies');
    return false;
  };
}
