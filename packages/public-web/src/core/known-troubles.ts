/**
 * What is known to be wrong, so that a client that waits in vain is told more than that: whether replies reach this
 * instance, and whether anybody consumes what its clients send. A dispatcher is asked now and then, off the way of events.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Readiness } from '@waybill/common/http/http-server.ts';
import {
  MAX_ASKED,
  type TroublesAnswer,
  type TroublesQuestion,
} from '@waybill/common/internal-call/troubles.ts';
import type { Logger } from 'pino';

/** How often while all is well, and while something is not, or not known yet. */
const WELL_MS = 5_000;
const UNWELL_MS = 1_000;
/** Once may be a busy moment. */
const FAILURES = 2;
/** Readiness is told to strangers: why, which names addresses within, is in the log. */
const UNREACHABLE = 'replies cannot be delivered to this instance (setting INTERNAL_URL)';

export type KnownTroubles = {
  /** Why the process is not ready: replies to it cannot be delivered. */
  readiness: Readiness;
  /** What may be why a client of `type` has waited in vain; '' when nothing is known. */
  explain(type: string): string;
  /** A reply to an event of `type` has come, from `handledby`, `<service>/<instance>`. */
  learn(type: string, handledby: string | undefined): void;
  /** Replies for this instance have come in. */
  reached(): void;
  /** Asks once. Never rejects; resolves whether all is well. */
  look(): Promise<boolean>;
  /** Asks from now on, until `signal` aborts. */
  watch(signal: AbortSignal): Promise<void>;
};

/** Creates the {@link KnownTroubles} of one instance. */
export function createKnownTroubles({
  ask,
  replyAddress,
  publicTypes,
  isPublicType,
  log,
}: {
  /** Asks any dispatcher; resolves with nothing when none answers. */
  ask(question: TroublesQuestion): Promise<TroublesAnswer | undefined>;
  replyAddress(): string;
  /** Of PUBLIC_EVENT_TYPES; patterns among them are not asked for. */
  publicTypes: readonly string[];
  isPublicType(type: string): boolean;
  log: Logger;
}): KnownTroubles {
  const types = publicTypes.filter((type) => !type.endsWith('*')).slice(0, MAX_ASKED);
  /** By replies that have come, and by what dispatchers say, if they know. */
  const serviceOf = new Map<string, string>();
  let declared = new Map<string, readonly string[]>();
  /** Since when, as far as this instance knows. */
  const idleSince = new Map<string, Date>();
  const undeclared = new Set<string>();
  let failures = 0;
  let unreachable: string | undefined;

  function noteCallback(reason: string | undefined): void {
    failures = reason === undefined ? 0 : failures + 1;
    if (reason === undefined) reached();
    if (reason === undefined || failures < FAILURES || unreachable === reason) return;
    unreachable = reason;
    log.warn({ reason }, UNREACHABLE);
  }

  function reached(): void {
    failures = 0;
    if (unreachable !== undefined) log.info('replies are delivered to this instance again');
    unreachable = undefined;
  }

  function noteUndeclared(now: readonly string[]): void {
    for (const type of now)
      if (!undeclared.has(type))
        log.warn({ event_type: type }, 'clients may send a type that no listener takes');
    undeclared.clear();
    for (const type of now) undeclared.add(type);
  }

  function noteIdle(now: readonly string[]): void {
    for (const service of idleSince.keys())
      if (!now.includes(service) && idleSince.delete(service))
        log.info({ service }, 'a service consumes again');
    for (const service of now) {
      if (idleSince.has(service)) continue;
      idleSince.set(service, new Date());
      log.warn(
        { service, types: typesOf(service) },
        'nobody consumes the queue of a service that clients send to',
      );
    }
  }

  /** Who answers each type, as far as it is known. A reply is better proof than what a service that may be retired has declared. */
  const takers = () =>
    new Map([...declared, ...[...serviceOf].map(([type, taker]) => [type, [taker]] as const)]);
  const typesOf = (service: string) =>
    [...takers()].flatMap(([type, services]) => (services.includes(service) ? type : []));

  /** Whether nobody else answers a type that a service answers which is idle: else it may be retired, and another in its place. */
  const isMissed = (service: string, idle: readonly string[]) =>
    [...takers().values()].some(
      (services) => services.includes(service) && services.every((one) => idle.includes(one)),
    );

  const publicOf = (answerers: Record<string, string[]>) =>
    new Map(
      Object.entries(answerers)
        .filter(([type]) => isPublicType(type))
        .slice(0, MAX_ASKED)
        // An older dispatcher names one, by itself.
        .map(([type, services]) => [type, [services].flat()]),
    );

  async function look(): Promise<boolean> {
    const known = new Set([...takers().values()].flat());
    const services = [...known].slice(0, MAX_ASKED);
    // Of a pattern nobody knows all types.
    const wantsAnswerers = publicTypes.some((type) => !serviceOf.has(type));
    const answer = await ask({ replyto: replyAddress(), types, services, wantsAnswerers });
    if (!answer) return false;
    noteCallback(answer.callback);
    noteUndeclared(answer.undeclared);
    const missed = answer.idle.filter((service) => isMissed(service, answer.idle));
    noteIdle(missed);
    if (answer.answerers) declared = publicOf(answer.answerers);
    const isNew = [...takers().values()].flat().some((service) => !known.has(service));
    const isWell = answer.callback === undefined && answer.undeclared.length + missed.length === 0;
    // Whether those run that are new is not known yet.
    return isWell && !isNew;
  }

  return {
    look,
    reached,
    readiness: () => (unreachable === undefined ? undefined : UNREACHABLE),
    explain(type) {
      const services = takers().get(type) ?? [];
      const idle = services.flatMap((service) => idleSince.get(service) ?? []);
      const since =
        idle.length === services.length ? idle.toSorted((a, b) => Number(b) - Number(a))[0] : undefined;
      const queues = services.map((service) => `waybill.${service}`).join(', ');
      return [
        since ? `; nobody has consumed ${queues} since ${since.toISOString()} at the latest` : '',
        unreachable === undefined ? '' : '; replies are not delivered to this instance',
      ].join('');
    },
    learn(type, handledby) {
      if (handledby === undefined || serviceOf.has(type) || serviceOf.size >= MAX_ASKED) return;
      serviceOf.set(type, handledby.split('/', 1)[0] ?? '');
    },
    async watch(signal) {
      while (!signal.aborted) {
        const isWell = await look();
        await delay(isWell ? WELL_MS : UNWELL_MS, undefined, { signal, ref: false }).catch(() => {});
      }
    },
  };
}
