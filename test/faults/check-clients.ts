/** The promises of `docs/clients.md` that a run with clients that stay is held against, beside those of `check.ts`. */
import type { RunResult } from './check.ts';
import type { Sending, StayingClient } from './client-load.ts';
import type { InjectedFault } from './inject.ts';

/** What fills the slot of an event that was refused, given up, or has no reply in time. */
const DOCUMENTED = ['', 'outcome-unknown', 'not-accepted', 'handler-failed'];
const GAP = 'waybill.Gap';
/** A fence of an instance that was killed is over by two deadlines, and what its store was away for besides. */
const OVER_AFTER_DEADLINES = 2;

/** The entries and events that break each promise, in words. */
export function clientPromises(run: ClientRun): Record<string, string[]> {
  const each = (breaches: (client: StayingClient, run: ClientRun) => string[]) =>
    (run.clients ?? []).flatMap((client) => breaches(client, run).map((what) => `${client.name}: ${what}`));
  return {
    'a client that brings its token gets nothing twice': each(repeated),
    'a client gets all that is in its mailbox': each(skipped),
    'results come in the order of the events': each(inversions),
    'an event has one result, and the right one': each(wrongResults),
    'an event of a client that stays is not lost': each((client) => lost(client, run).map(show)),
    'what is refused has no result': each(refusedWithResult),
    'only documented answers to clients that stay': each(undocumented),
    'every client is answered in the end': each(({ isAnswered }) => (isAnswered ? [] : ['it is not'])),
    'every event after the recovery has its result': each(unansweredAfterRecovery),
  };
}

type ClientRun = Pick<RunResult, 'clients' | 'injected' | 'evidence' | 'recoveredMs'>;

/** The figures of its clients in a run's row, if it had any. */
export function summarizeClients(run: ClientRun) {
  const { clients = [] } = run;
  if (clients.length === 0) return {};
  const sum = (count: (client: StayingClient) => unknown[]) =>
    clients.reduce((all, client) => all + count(client).length, 0);
  return {
    connections: sum(({ ends }) => ends),
    events: sum(({ sendings }) => sendings),
    results: sum(({ told }) => told.filter(({ result }) => result !== undefined)),
    problems: sum(({ told }) => told.filter(({ code }) => code !== '')),
    'told taken over': sum(({ ends }) => ends.filter((end) => /^4001$|once more|taken over/.test(end))),
    again: sum(repeated),
    skipped: sum(skipped),
    inverted: sum(inversions),
    'events lost': sum((client) => lost(client, run)),
  };
}

type Step = { before: string; token: string; code: string };

/** The tokens of what is in the mailbox, each with the one before it. */
function steps({ told }: StayingClient): Step[] {
  const entries = told.flatMap(({ token, code }) => (token === undefined ? [] : [{ token, code }]));
  return entries.map((entry, index) => ({ ...entry, before: entries[index - 1]?.token ?? '' }));
}

function repeated(client: StayingClient): string[] {
  return steps(client)
    .filter(({ before, token }) => before !== '' && offsetOf(token) <= offsetOf(before))
    .map(({ before, token }) => `${token} after ${before}`);
}

function skipped(client: StayingClient): string[] {
  const isNext = ({ before, token }: Step) =>
    offsetOf(token) <= offsetOf(before) + 1 && (before === '' || epochOf(token) === epochOf(before));
  return steps(client)
    .filter((step) => step.code === GAP || !isNext(step))
    .map(({ before, token, code }) => `${token} after ${before} ${code}`);
}

const epochOf = (token: string) => token.split('.')[0];
const offsetOf = (token: string) => Number(token.split('.')[1] ?? 0);

/** Of a client's connections all events have one order, and those that it posts, one after the other, one of their own. */
function inversions(client: StayingClient): string[] {
  const placeOf = placesOf(client);
  const kinds = [
    client.sendings.filter(({ outcome }) => outcome === 'sent'),
    client.sendings.filter(({ outcome }) => outcome === 'accepted'),
  ];
  return kinds.flatMap((sendings) => {
    const placed = sendings.filter(({ number }) => placeOf.has(number));
    return placed
      .filter(({ number }, index) => {
        const before = placed[index - 1];
        return before && (placeOf.get(number) ?? 0) < (placeOf.get(before.number) ?? 0);
      })
      .map((sending) => `before the one before it: ${show(sending)}`);
  });
}

function placesOf({ told }: StayingClient): Map<number, number> {
  return new Map(
    told.flatMap(({ token, number }, place) =>
      token === undefined || number === undefined ? [] : [[number, place]],
    ),
  );
}

function wrongResults({ told, sendings }: StayingClient): string[] {
  const own = new Set(sendings.map(({ number }) => number));
  const seen = new Set<number>();
  return told.flatMap(({ number, result, token }) => {
    if (number === undefined || token === undefined) return [];
    const isWrong = !own.has(number) || (result !== undefined && result !== Math.imul(number, number));
    const isAgain = seen.has(number);
    seen.add(number);
    return isWrong || isAgain ? [`${token}: ${number} has ${result}${isAgain ? ' once more' : ''}`] : [];
  });
}

/**
 * Events that must have an entry, and have none: those that were accepted, those of a connection over which a later one was
 * sent that has one, and those that a public-web says the broker has taken, unless it was killed or frozen soon after.
 * Where an instance died with its ids, an entry that names no event may be that of one which was sent over a connection.
 */
function lost(client: StayingClient, { evidence, injected }: ClientRun): Sending[] {
  const placeOf = placesOf(client);
  const hasRefusal = new Set(
    client.told.flatMap(({ token, number }) => (token === undefined ? [number] : [])),
  );
  const lastOf = new Map<number, number>();
  for (const { number, connection } of client.sendings)
    if (placeOf.has(number)) lastOf.set(connection, number);
  const isTroubled = (sending: Sending) =>
    injected.some((fault) => hasMet(fault, sending) && mayEndUntold(fault, injected));
  const isOwed = (sending: Sending) => {
    const { outcome, number, connection } = sending;
    if (outcome === 'accepted') return true;
    if (outcome === 'sent' && number < (lastOf.get(connection) ?? -1)) return true;
    return evidence.taken.has(number) && !isTroubled(sending);
  };
  const missing = client.sendings.filter(
    (sending) => isOwed(sending) && !placeOf.has(sending.number) && !hasRefusal.has(sending.number),
  );
  const isPosted = ({ outcome }: Sending) => outcome === 'accepted';
  const nameless = client.told.filter(({ number, code }) => number === undefined && code !== GAP).length;
  const sent = missing.filter((sending) => !isPosted(sending));
  return [...missing.filter(isPosted), ...(sent.length > nameless ? sent : [])];
}

/** Whether it happened to the public-web of an event before the fence of that was over. */
function hasMet({ target, startMs, endMs }: InjectedFault, sending: Sending): boolean {
  const overMs = sending.startMs + OVER_AFTER_DEADLINES * sending.deadlineMs;
  return target === `public-web-${sending.publicWeb}` && startMs <= overMs && endMs >= sending.startMs;
}

/** Whether an instance has an end of which the store does not hear: one that stops tells it, unless it is away. */
function mayEndUntold(
  { kind, target, startMs, endMs }: InjectedFault,
  injected: readonly InjectedFault[],
): boolean {
  const way = `${target.replace('public-', '').replace('-', '')}-store`;
  const isAway = (fault: InjectedFault) =>
    ['store-0', way].includes(fault.target) && fault.startMs <= endMs && fault.endMs >= startMs;
  return kind !== 'terminate' || injected.some(isAway);
}

/** Its store may say that it has none, where it could not be told in time that there is to be none. */
function refusedWithResult({ sendings, told }: StayingClient): string[] {
  const numbers = new Set(told.filter(({ result }) => result !== undefined).map(({ number }) => number));
  return sendings.filter(({ outcome, number }) => outcome === 'refused' && numbers.has(number)).map(show);
}

function undocumented({ sendings, told }: StayingClient): string[] {
  return [
    ...sendings.filter(({ outcome }) => outcome === 'wrong').map(show),
    ...told
      .filter(({ code }) => !DOCUMENTED.includes(code) && code !== GAP)
      .map((entry) => JSON.stringify(entry)),
  ];
}

function unansweredAfterRecovery(
  { sendings, told }: StayingClient,
  { recoveredMs = Number.POSITIVE_INFINITY }: ClientRun,
): string[] {
  const answered = new Set(told.filter(({ result }) => result !== undefined).map(({ number }) => number));
  const last = new Set(told.map(({ number }) => number));
  return sendings
    .filter(({ startMs, number }) => startMs >= recoveredMs && last.has(number) && !answered.has(number))
    .map(show);
}

function show({ number, way, publicWeb, startMs, endMs, ...sending }: Sending): string {
  const when = new Date(startMs).toISOString().slice(11, 23);
  const { connection, outcome, status, code, detail } = sending;
  return `${number} at ${when} by ${way} (connection ${connection}) of public-web-${publicWeb}: ${outcome} ${status} ${code} after ${endMs - startMs} ms ${detail}`;
}
