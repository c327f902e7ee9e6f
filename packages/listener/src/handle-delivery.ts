/**
 * One message from the broker: its events are handled, and then, here and nowhere else, it is acked.
 *
 * | the delivery | what happens |
 * |---|---|
 * | holds no events | dead-lettered raw, acked |
 * | holds several events and was on board of a death | each of its events goes, alone, to the work queue; acked |
 * | has not waited for all of its delay | goes on to the next queue of it; acked |
 * | was on board of two deaths | its event goes to the isolated queue; acked |
 * | is from the isolated queue, with 5 crashes | dead-lettered `listener-crashed`, its client told 502; acked |
 * | is from the isolated queue | its event is handled, and no other is started just after (`isolation.ts`); acked as below |
 * | else | each event is handled; acked when what each produced is confirmed |
 *
 * Innocent events share a prefetch with guilty ones and count up with them, so what they suffered together counts for
 * two crashes at the most, one of them as a batch, and only a death in isolation weighs on its own. A batch that came back is
 * not handled as one again, so that a death makes suspects of no more events than a process takes messages. A connection
 * that this process lost and survived is no death (`survived-losses.ts`).
 *
 * Events that had no turn for too long, and those that are left when the process has to stop, go back to the queue that they
 * came from, as one message and with their history as it is; then the delivery is acked, and nothing counts against them.
 *
 * When its channel closes meanwhile nothing is acked, and the broker delivers it again.
 */
import type { Delivery, Destination, Publisher } from '@waybill/common/broker/ports.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import { toAppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { encodeEvent, encodeMessage } from '@waybill/common/event/event-json.ts';
import type { LimitFunction } from 'p-limit';
import type { Logger } from 'pino';
import { type Attempt, createAttempts, type Left } from './attempt.ts';
import { createDecodeDelivery } from './decode-delivery.ts';
import { originalsOf } from './delivered-event.ts';
import type { GiveUp } from './give-up.ts';
import type { HandleEvent } from './handle-event.ts';
import { crashesOf, earlierCrashesOf, failedAttemptsOf, historyHeaders } from './headers.ts';
import { createIsolation } from './isolation.ts';
import { publishEvents } from './publish-events.ts';
import type { SurvivedLosses } from './survived-losses.ts';
import { type Wait, waitOn } from './wait.ts';

/** An event that was on board of this many crashes is isolated. */
const ISOLATE_AT = 2;
/** An event on board of this many crashes is given up. */
const MAX_CRASHES = 5;

export type HeldDelivery = {
  delivery: Delivery;
  /** Resolves when the delivery is acked, given up by us, or lost; never rejects. */
  settled: Promise<void>;
  /** Gives back what is left of it; does nothing for one that is lost. */
  giveBack(left: Left): void;
};

/** What else there is to say of a delivery from the isolated queue. */
export type Suspect = {
  /** Resolves when its ack brings no other one. */
  cancelled: Promise<void>;
  /** Called when another one may be started beside it (`isolation.ts`). */
  takeNext(): void;
};

/** Handles a delivery; of the isolated queue's as a suspect. */
export type HandleDelivery = (delivery: Delivery, suspect?: Suspect) => HeldDelivery;

/** Creates the handler of deliveries. */
export function createHandleDelivery({
  service,
  publisher,
  handleEvent,
  giveUp,
  limit,
  survivedLosses,
  startWithinMs,
  log,
}: {
  service: string;
  publisher: Publisher;
  handleEvent: HandleEvent;
  giveUp: GiveUp;
  /** Bounds the events handled at once. */
  limit: LimitFunction;
  survivedLosses: SurvivedLosses;
  /** Events that have not been started after this long are given back. */
  startWithinMs: number;
  log: Logger;
}): HandleDelivery {
  const isolation = createIsolation();
  const decodeDelivery = createDecodeDelivery({ publisher, log });

  return (delivery, suspect) => {
    const crashes = crashesOf(delivery, survivedLosses.countOf(delivery));
    const attempts: Attempt[] = [];
    const giveBack = (left: Left) => giveBackLeft({ delivery, crashes, attempts }, left);
    const timer = setTimeout(giveBack, startWithinMs, 'unstarted').unref();
    const settled = settle({ delivery, crashes, attempts }, suspect).finally(() => clearTimeout(timer));
    return { delivery, settled, giveBack };
  };

  async function settle(held: Held, suspect?: Suspect): Promise<void> {
    const { delivery } = held;
    try {
      await handle(held, suspect);
      await suspect?.cancelled;
      delivery.ack();
    } catch (error) {
      if (delivery.signal.aborted) return;
      log.error({ err: toAppError(error) }, 'delivery not handled');
      delivery.requeue();
    }
  }

  async function handle(held: Held, suspect?: Suspect): Promise<void> {
    const { delivery, crashes, attempts } = held;
    const wait = waitOn(delivery);
    if (wait) return goOnWaiting(delivery, wait);
    const events = await decodeDelivery(delivery);
    if (events.length === 0) return;
    const isIsolated = 'isolated' in delivery.from;
    if (isIsolated && crashes >= MAX_CRASHES) return giveUpAll(held);
    if (!isIsolated && crashes > 0 && events.length > 1) return isolation.move(takeApart(held));
    if (!isIsolated && crashes >= ISOLATE_AT) return isolation.move(isolate(held));
    const batchSize = events.length;
    const { each, ended } = createAttempts(batchSize, (index) =>
      handleEvent({ event: events[index] as CloudEvent, index, delivery, crashes, batchSize }),
    );
    attempts.push(...each);
    for (const attempt of each) void limit(isIsolated ? startSuspect : start, attempt, held, suspect);
    // Not before all have ended: what goes back to the broker must not be under way here any more.
    await ended;
  }

  function start(attempt: Attempt, { crashes }: Held): Promise<void> {
    return crashes > 0 || isolation.mayRun() ? startAfterSuspects(attempt, crashes) : attempt.start();
  }

  async function startAfterSuspects(attempt: Attempt, crashes: number): Promise<void> {
    if (crashes > 0) await isolation.whenNoneMoves();
    await isolation.whenNoneRuns();
    await attempt.start();
  }

  /** One that was on board of a death in isolation runs alone. */
  function startSuspect(attempt: Attempt, { crashes }: Held, suspect?: Suspect): Promise<void> {
    return isolation.runSuspect(attempt.start, {
      isAlone: crashes > ISOLATE_AT,
      onInnocent: suspect?.takeNext,
    });
  }

  function giveBackLeft({ delivery, crashes, attempts }: Held, left: Left): void {
    const leaving = attempts.filter((attempt) => attempt.isLeft(left));
    if (leaving.length === 0 || delivery.signal.aborted) return;
    const originals = originalsOf(delivery);
    const events = leaving.map(({ index }) => originals[index] as CloudEvent);
    log.info({ event_ids: events.map(({ id }) => id), queue: delivery.queue }, `${left} events given back`);
    const message = {
      to: 'isolated' in delivery.from ? { isolated: service } : { service },
      headers: historyHeaders(delivery, { failedAttempts: failedAttemptsOf(delivery), crashes }),
      ...encodeMessage(events.map(encodeEvent)),
    };
    const publishing = publishUntilConfirmed(publisher, message, delivery.signal);
    for (const attempt of leaving) attempt.giveBack(publishing);
  }

  /** However often it came back: nothing of it was started again. */
  function takeApart(held: Held): Promise<void> {
    const eventIds = originalsOf(held.delivery).map(({ id }) => id);
    log.info({ event_ids: eventIds }, 'batch taken apart after a crash');
    return moveEach(held, { to: { service }, crashes: 1 });
  }

  function isolate(held: Held): Promise<void> {
    const eventIds = originalsOf(held.delivery).map(({ id }) => id);
    log.warn({ crashes: held.crashes, event_ids: eventIds }, 'isolated after repeated crashes');
    return moveEach(held, { to: { isolated: service }, crashes: ISOLATE_AT });
  }

  /** Each event alone, counted as on board of so many crashes, or of those that it brought along. */
  function moveEach(
    { delivery }: Held,
    { to, crashes }: { to: Destination; crashes: number },
  ): Promise<void> {
    const headers = historyHeaders(delivery, {
      failedAttempts: failedAttemptsOf(delivery),
      crashes: Math.max(crashes, earlierCrashesOf(delivery)),
    });
    const moved = originalsOf(delivery).map((event) => ({
      message: { to, headers, ...encodeMessage([encodeEvent(event)]) },
      isMandatory: true,
    }));
    return publishEvents(publisher, moved, delivery.signal);
  }

  /** As it came: nobody has started it, so whatever died while holding it says nothing of it. */
  function goOnWaiting(delivery: Delivery, { delayMs, headers }: Wait): Promise<void> {
    const { body, contentType } = delivery;
    const history = { failedAttempts: failedAttemptsOf(delivery), crashes: earlierCrashesOf(delivery) };
    const message = {
      ...{ to: { service, delayMs }, body, contentType },
      headers: { ...historyHeaders(delivery, history), ...headers },
    };
    return publishUntilConfirmed(publisher, message, delivery.signal);
  }

  async function giveUpAll({ delivery, crashes }: Held): Promise<void> {
    const message = `${crashes} processes died, or lost their connection, while they held this event`;
    const error = { code: 'listener-crashed', message };
    for (const event of originalsOf(delivery))
      await giveUp(event, delivery, { reason: 'listener-crashed', error });
  }
}

type Held = { delivery: Delivery; crashes: number; attempts: Attempt[] };
