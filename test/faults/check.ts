/** The promises of `docs/reliability.md`, held against what a run left behind. */
import { clientPromises } from './check-clients.ts';
import { keyPromises } from './check-keys.ts';
import { streamPromises } from './check-streams.ts';
import type { StayingClient } from './client-load.ts';
import type { DeadLetter, Evidence } from './evidence.ts';
import type { InjectedFault } from './inject.ts';
import type { KeyedRequest } from './keyed-load.ts';
import type { Operation } from './operation.ts';
import { DATABASE_FAULT } from './schedule.ts';
import type { StreamOperation } from './stream-load.ts';

/** All that is known about a run after its end. */
export type RunResult = {
  operations: Operation[];
  /** Of a run that streams datasets. */
  streams?: StreamOperation[];
  /** Of a run with clients that stay. */
  clients?: StayingClient[];
  /** Requests with keys, of the same. */
  keyed?: KeyedRequest[];
  injected: InjectedFault[];
  evidence: Evidence;
  deadLetters: DeadLetter[];
  /** Queues that still held something, by name. */
  leftInQueues: Record<string, number>;
  /** Since the epoch: everything was healed, and then every public-web answered again; undefined if it did not. */
  healedMs: number;
  recoveredMs: number | undefined;
  /** By how much the clients' own event loop was late at worst. */
  maxLagMs: number;
  /** In words: processes that ended as they should not have, or were still there, and connections left over. */
  troubles: string[];
};

/** A broken promise. */
export type Violation = { promise: string; what: string };

/** Beyond its deadline a client may wait this long. */
const PROMISED_SLACK_MS = 250;
/** The same on a machine that is busy with other things: for tests, which must not fail for that. */
export const BUSY_SLACK_MS = 1_000;
/** Clocks are read to the millisecond, and timers fire up to one early. */
const CLOCK_ERROR_MS = 10;
/** Nobody holds a reply for longer than this after its deadline. */
const ROUTED_BY_MS = 2_000;
/** In a run: one was seen in 50 (docs/reliability.md, "What is not"). */
const MAX_CUT_UNSEEN = 2;
/** How long before its deadline a reply must have been in the broker to be called late when it did not come. */
const LATE_REPLY_MS = 5_000;
/** By then one that was frozen for longest, 16 s, has read what 100 pings a second have sent it. */
const THAWED_MS = 1_000;
/** By then every tier has found back: reconnecting waits 3 s at most, and then declares its queues. */
const MENDED_MS = 7_000;

/**
 * Every broken promise, each with the ids and times that show it.
 *
 * @param options.slackMs how long after its deadline a client may be answered; default: what is promised, 250 ms.
 */
export function findViolations(run: RunResult, { slackMs = PROMISED_SLACK_MS } = {}): Violation[] {
  const promises: Record<string, string[]> = {
    'what is refused never runs': run.operations.filter((op) => isRefusedButRan(op, run)).map(show),
    'what is confirmed is not lost': lostOf(run).map(show),
    'what waited for a retired service is handled': lostInMove(run),
    'a reply in the broker is not lost': lostReplies(run).map((op) => `${showRouted(op, run)}: ${show(op)}`),
    'only documented answers, each to its own request': run.operations
      .filter(({ outcome }) => outcome === 'wrong')
      .map(show),
    'one answer per request': answeredTwice(run),
    'nobody waits past the deadline': [
      ...overruns('says public-web', asPublicWebSaw(run), slackMs, run),
      ...overruns('says its client', run.operations.filter(isNeverFrozen(run)), slackMs + run.maxLagMs, run),
    ],
    'a connection is cut only by a kill': cutWithoutKill(run).map(show),
    'every answer after the recovery is 200': run.operations
      .filter((op) => op.startMs >= (run.recoveredMs ?? Number.POSITIVE_INFINITY) && isUnanswered(op))
      .map(show),
    'without a fault for 7 s every answer is 200': run.operations
      .filter((op) => isUnanswered(op) && isLongAfterFaults(op, run.injected))
      .map(show),
    'what is answered has run': run.operations
      .filter(({ id, outcome }) => outcome === 'answered' && !run.evidence.ran.has(id))
      .map(show),
    'it answers again after healing': run.recoveredMs === undefined ? ['it did not'] : [],
    'all queues end empty': Object.entries(run.leftInQueues).map(([name, count]) => `${name}: ${count}`),
    'only innocent suspects of crashes are given up': run.deadLetters
      .filter(({ reason }) => reason !== 'listener-crashed')
      .map((letter) => JSON.stringify(letter)),
    'a 502 has its dead letter': run.operations
      .filter(({ id, status }) => status === 502 && !run.deadLetters.some((letter) => letter.id === id))
      .map(show),
    'processes end only when told to, and all of them': run.troubles,
    'no fault from outside is an error to log': alarmingLines(run),
    ...streamPromises(run),
    ...clientPromises(run),
    ...keyPromises(run),
  };
  return Object.entries(promises).flatMap(([promise, breaches]) =>
    breaches.map((what) => ({ promise, what })),
  );
}

/** The figures of a run's row in the table. */
export function summarize(run: RunResult) {
  const count = (outcome: Operation['outcome']) =>
    run.operations.filter((operation) => operation.outcome === outcome).length;
  const waitsOf503 = run.operations.filter(({ status }) => status === 503).map(({ waitMs }) => waitMs);
  const worst = (operations: Operation[]) =>
    `${Math.round(Math.max(0, ...operations.map((op) => overrunMs(op, run.injected))))} ms`;
  return {
    faults: run.injected.length,
    sent: run.operations.length,
    answered: count('answered'),
    refused: count('refused'),
    unknown: count('unknown'),
    'given up': run.operations.filter(({ status }) => status === 502).length,
    'in deleted queues': run.operations.filter((op) => isInDeletedQueue(op, run)).length,
    lost: lostOf(run).length,
    'lost replies': lostReplies(run).length,
    twice: answeredTwice(run).length,
    'ran again': [...run.evidence.ran.values()].filter((times) => times.length > 1).length,
    'late replies': lateReplies(run).length,
    'worst wait': worst(run.operations),
    'of it public-web': worst(asPublicWebSaw(run)),
    'clients late': `${run.maxLagMs} ms`,
    'p99 to 503': `${p99(waitsOf503)} ms`,
    recovered:
      run.recoveredMs === undefined ? 'no' : `${((run.recoveredMs - run.healedMs) / 1_000).toFixed(1)} s`,
  };
}

function overruns(who: string, operations: Operation[], slackMs: number, { injected }: RunResult): string[] {
  return operations
    .filter((op) => overrunMs(op, injected) > slackMs)
    .map((op) => `${Math.round(overrunMs(op, injected))} ms past its deadline, ${who}: ${show(op)}`);
}

/** The operations with the time that public-web says it took, which leaves out the client's own lateness. */
function asPublicWebSaw({ operations, evidence }: RunResult): Operation[] {
  return operations.flatMap((operation) => {
    const waitMs = evidence.durations.get(operation.id);
    return waitMs === undefined ? [] : [{ ...operation, waitMs }];
  });
}

/** One that was frozen has to work through what came meanwhile before it knows of it, and so of its deadline. */
function isNeverFrozen({ injected }: RunResult): (operation: Operation) => boolean {
  return ({ startMs, waitMs, ...operation }) =>
    frozenMs({ ...operation, startMs: startMs - THAWED_MS, waitMs: waitMs + THAWED_MS }, injected) === 0;
}

function p99(values: number[]): number {
  const sorted = values.sort((one, other) => one - other);
  return Math.round(sorted[Math.floor(sorted.length * 0.99)] ?? 0);
}

/** Its reply was in the broker long before its deadline, and its client was told 504 at it. No promise; worth a look. */
export function lateReplies({ operations, evidence }: RunResult): Operation[] {
  return operations.filter(({ id, status, startMs, deadlineMs, waitMs }) => {
    const repliedMs = evidence.replied.get(id) ?? Number.POSITIVE_INFINITY;
    return status === 504 && waitMs >= deadlineMs && repliedMs < startMs + deadlineMs - LATE_REPLY_MS;
  });
}

/** By how much the client waited past its deadline, less the time for which its public-web was frozen. */
export function overrunMs(operation: Operation, injected: readonly InjectedFault[]): number {
  return operation.waitMs - operation.deadlineMs - frozenMs(operation, injected);
}

function frozenMs({ publicWeb, startMs, waitMs }: Operation, injected: readonly InjectedFault[]): number {
  return injected
    .filter(({ kind, target }) => kind === 'freeze' && target === `public-web-${publicWeb}`)
    .reduce((sum, fault) => sum + overlapMs(fault, { startMs, endMs: startMs + waitMs }), 0);
}

/** Events that are given up are looked at by themselves: they may be handled long after the crashes that count. */
function isUnanswered({ outcome, status }: Operation): boolean {
  return outcome !== 'answered' && status !== 502;
}

/** Of one whose outcome is unknown its client is told at its deadline, long after the fault that it met on its way. */
function isLongAfterFaults(operation: Operation, injected: readonly InjectedFault[]): boolean {
  const { startMs, waitMs, outcome } = operation;
  const endMs = startMs + waitMs;
  const metMs = outcome === 'unknown' ? startMs : endMs;
  return injected.every((fault) => fault.startMs > endMs || fault.endMs < metMs - MENDED_MS);
}

type Span = { startMs: number; endMs: number };

function overlapMs(one: Span, other: Span): number {
  return Math.max(0, Math.min(one.endMs, other.endMs) - Math.max(one.startMs, other.startMs));
}

function isRefusedButRan({ id, outcome }: Operation, { evidence }: RunResult): boolean {
  return outcome === 'refused' && evidence.ran.has(id);
}

/**
 * Confirmed by the broker, and then neither replied to, nor given up, nor dropped after its deadline: handlers that
 * began and never ended do not count. (A listener that is killed in the very millisecond in which it drops one takes the line
 * that says so with it; that is not excused, as it is not known when it would have been.)
 */
function lostOf(run: RunResult): Operation[] {
  const { confirmed, replied, routed, expired } = run.evidence;
  const isExpired = ({ id, startMs, deadlineMs }: Operation) =>
    (expired.get(id) ?? 0) >= startMs + deadlineMs - CLOCK_ERROR_MS;
  return run.operations.filter(
    (operation) =>
      confirmed.has(operation.id) &&
      operation.outcome !== 'answered' &&
      ![replied, routed].some((done) => done.has(operation.id)) &&
      !isExpired(operation) &&
      !isInDeletedQueue(operation, run) &&
      !isGivenUp(operation.id, run),
  );
}

/** Ids of what `retire-service` was to move to another service, unless somebody has deleted a queue since. */
function lostInMove({ injected, evidence, ...run }: RunResult): string[] {
  const isDeletedSince = (fromMs: number) =>
    injected.some(({ deletedMs = Number.NEGATIVE_INFINITY }) => deletedMs >= fromMs);
  return injected
    .filter(({ startMs }) => !isDeletedSince(startMs))
    .flatMap(({ moved = [] }) => moved)
    .filter((id) => !evidence.ran.has(id) && !isGivenUp(id, run));
}

/**
 * Somebody deleted a queue while it was on its way, and its client was not answered: it, or its reply, was in the queue or in
 * the hands of its consumer, and is owed to nobody. (The broker does not say which were in it.)
 */
function isInDeletedQueue({ startMs, deadlineMs, outcome }: Operation, { injected }: RunResult): boolean {
  const isOver = ({ deletedMs = Number.NEGATIVE_INFINITY, ...fault }: InjectedFault) =>
    startMs <= deletedMs && startMs + deadlineMs >= fault.startMs;
  return outcome === 'unknown' && injected.some(isOver);
}

/**
 * But for what says that somebody has deleted or forbidden something, or that a store has lost its database, or takes it for lost: of
 * one that was frozen the time limits of its questions pass before it reads the answers.
 */
function alarmingLines({ injected, evidence }: RunResult): string[] {
  const isAllowed = [
    ...(injected.some((fault) => 'which' in fault) ? [/NOT_FOUND|ACCESS_REFUSED/] : []),
    ...(injected.some(isSilenceOfDatabase) ? [/the database fails/] : []),
  ];
  return evidence.alarmingLines.filter((line) => !isAllowed.some((allowed) => allowed.test(line)));
}

function isSilenceOfDatabase({ kind, target }: InjectedFault): boolean {
  return kind === DATABASE_FAULT || (kind === 'freeze' && target.startsWith('store'));
}

function isGivenUp(id: string, { deadLetters }: Pick<RunResult, 'deadLetters'>): boolean {
  return deadLetters.some((letter) => letter.id.split(' ').includes(id));
}

/**
 * The broker had its reply, its client was not answered, and either no dispatcher says what became of it in the end, or
 * one says so of a time at which its client still waited. A dispatcher that was killed before that time was over may have
 * taken the line that says so with it.
 */
function lostReplies(run: RunResult): Operation[] {
  const { operations, evidence, injected } = run;
  return operations.filter((operation) => {
    const { id, startMs, deadlineMs, outcome } = operation;
    const { replied, routed } = evidence;
    if (outcome === 'answered' || !(replied.has(id) || routed.has(id)) || isGivenUp(id, run)) return false;
    if (isInDeletedQueue(operation, run)) return false;
    const ends = (routed.get(id) ?? []).filter((end) => end.outcome !== 'failing');
    const untilMs = startMs + deadlineMs + ROUTED_BY_MS;
    if (ends.length === 0) return !injected.some((fault) => isKillOfDispatcher(fault, startMs, untilMs));
    const inTime = (atMs: number) => atMs < startMs + deadlineMs - CLOCK_ERROR_MS;
    // Where there is a store, what comes later is delivered there.
    const isLate = ({ outcome }: { outcome: string }) => outcome === 'delivered' && !run.clients?.length;
    return hasWaited(operation) && ends.some((end) => isLate(end) || inTime(end.atMs));
  });
}

function isKillOfDispatcher({ kind, target, startMs }: InjectedFault, fromMs: number, untilMs: number) {
  return kind === 'kill' && target.startsWith('dispatcher') && startMs >= fromMs && startMs <= untilMs;
}

/** Its public-web was ready for its reply until the deadline, and told it so. */
function hasWaited({ status, detail }: Operation): boolean {
  return status === 504 && detail.startsWith('no reply within');
}

function showRouted({ id, startMs }: Operation, { evidence }: RunResult): string {
  const ends = evidence.routed.get(id) ?? [];
  return (
    ends.map(({ outcome, atMs }) => `${outcome} after ${atMs - startMs} ms`).join(', ') || 'never routed'
  );
}

function answeredTwice({ evidence }: RunResult): string[] {
  return [...evidence.accounted]
    .filter(([, times]) => times > 1)
    .map(([id, times]) => `${id}: ${times} times`);
}

/** But for a few that were sent just when a public-web that stops closed its port or an idle connection: no tier saw them. */
function cutWithoutKill(run: RunResult): Operation[] {
  const { confirmed, ran } = run.evidence;
  const cut = run.operations.filter(
    (operation) =>
      operation.status === 0 && operation.outcome === 'unknown' && !isDuring('kill', operation, run),
  );
  const isUnseen = (operation: Operation) =>
    isDuring('terminate', operation, run) && !confirmed.has(operation.id) && !ran.has(operation.id);
  const seen = cut.filter((operation) => !isUnseen(operation));
  return cut.length - seen.length > MAX_CUT_UNSEEN ? cut : seen;
}

function isDuring(
  kind: InjectedFault['kind'],
  { publicWeb, startMs, waitMs }: Operation,
  { injected }: RunResult,
): boolean {
  const span = { startMs: startMs - 1, endMs: startMs + waitMs + 1_000 };
  return injected.some(
    (fault) =>
      fault.kind === kind && fault.target === `public-web-${publicWeb}` && overlapMs(fault, span) > 0,
  );
}

function show({ id, publicWeb, startMs, waitMs, deadlineMs, status, code, detail }: Operation): string {
  const when = new Date(startMs).toISOString().slice(11, 23);
  return `${id} at ${when} by public-web-${publicWeb}: ${status} ${code} after ${Math.round(waitMs)} of ${deadlineMs} ms (${detail})`;
}
