/**
 * Two services that both answer a type: each gets every event of it, and the client the reply that comes first. AMQP tells
 * nobody of the bindings of others, so services ask each other. Whoever starts says to all that answer one of its
 * types who it is; whoever hears of another service says so in turn; both log it, by name.
 *
 * A warning and no refusal: while a type moves from one service to another, both answer it for a while. What is bound and
 * has no instance running does not hear (`amqp-forgotten-queues.ts` finds that), and instances of one service are no others.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Delivery, Publisher, Subscriber } from '@waybill/common/broker/ports.ts';
import { publishUntilConfirmed } from '@waybill/common/broker/publish-until-confirmed.ts';
import type { Logger } from 'pino';

/** Who says that it answers the type that the message is routed by. */
const SERVICE_HEADER = 'waybill-service';
/** What says so in turn, and is not answered. */
const REPLY_HEADER = 'waybill-in-turn';

/** How often it is looked whether answers would arrive by now. */
const UNTIL_ACTIVE_MS = 100;
/** They are acked as they come. */
const PREFETCH = 100;

/**
 * Says at start which types `service` answers, and from then on logs, once for each, every other service that answers one
 * of them.
 *
 * @param options.signal ends it.
 */
export function warnOfOtherAnswerers({
  service,
  types,
  publisher,
  subscriber,
  signal,
  log,
}: {
  service: string;
  types: readonly string[];
  publisher: Publisher;
  subscriber: Pick<Subscriber, 'subscribe'>;
  signal: AbortSignal;
  log: Logger;
}): void {
  // Who only observes has no such queue.
  if (types.length === 0) return;
  const known = new Set<string>();
  const subscription = subscriber.subscribe({
    from: { answerers: service },
    prefetch: PREFETCH,
    onDelivery(delivery) {
      delivery.ack();
      hear(delivery);
    },
  });
  signal.addEventListener('abort', () => void subscription.cancel(), { once: true });

  function hear({ headers, routingKey: type }: Delivery): void {
    const other = headers[SERVICE_HEADER];
    if (typeof other !== 'string' || other === service || !types.includes(type)) return;
    if (!known.has(`${other} ${type}`))
      log.warn({ event_type: type, services: [service, other].sort() }, 'two services answer one type');
    known.add(`${other} ${type}`);
    if (headers[REPLY_HEADER] === undefined) void say(type, { [REPLY_HEADER]: 1 });
  }

  async function say(type: string, headers: Record<string, number> = {}): Promise<void> {
    const message = {
      ...{ to: { answerersOf: type }, contentType: '', body: Buffer.alloc(0) },
      headers: { [SERVICE_HEADER]: service, ...headers },
    };
    try {
      await publishUntilConfirmed(publisher, message, signal);
    } catch (error) {
      log.debug({ err: error }, 'other services do not learn which types this one answers');
    }
  }

  async function sayAll(): Promise<void> {
    // What they say in turn must not come before anybody hears it.
    while (!subscription.isActive() && !signal.aborted)
      await delay(UNTIL_ACTIVE_MS, undefined, { ref: false });
    await Promise.all(types.map((type) => say(type)));
  }

  void sayAll();
}
