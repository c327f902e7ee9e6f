/** A status for people. Names in it may be a stranger's, so no control character is printed. */
import type { Status, Tier } from './collect-status.ts';
import type { Answers } from './read-answers.ts';
import { renderTable } from './render-table.ts';

/** The whole as text. */
export function renderStatus({ tiers, types, queues, answers = [], deadLetters }: Status): string {
  const reasons = Object.entries(deadLetters.byReason).map(([reason, count]) => `${count} ${reason}`);
  const oldest = deadLetters.oldest ? [`the oldest of ${deadLetters.oldest}`] : [];
  const details = [...reasons, ...oldest].join(', ');
  return [
    renderTable(['TIER', 'VERSION', 'READY', ''], tiers.map(tierRow)),
    renderTable(
      ['TYPE', 'ANSWERED BY', 'OBSERVED BY'],
      types.map(({ type, answeredBy, observedBy }) => [
        type,
        answeredBy.join(', ') || '-',
        observedBy.join(', ') || '-',
      ]),
    ),
    renderTable(
      ['QUEUE', 'MESSAGES', 'CONSUMERS'],
      queues.map(({ name, messages, consumers }) => [name, String(messages), String(consumers)]),
    ),
    ...(answers.length > 0
      ? [renderTable(['CLIENTS SENT', 'WERE TOLD', 'HALF WITHIN', '99% WITHIN'], answers.map(answersRow))]
      : []),
    `dead letters  ${deadLetters.total}${details ? `: ${details}` : ''}`,
  ].join('\n\n');
}

function answersRow({ type, outcomes, halfWithinMs, mostWithinMs }: Answers): string[] {
  const told = Object.entries(outcomes).map(([outcome, count]) => `${count} ${outcome}`);
  const shown = (boundMs: number | undefined) => (boundMs === undefined ? 'longer' : `${boundMs} ms`);
  return [type, told.join(', '), shown(halfWithinMs), shown(mostWithinMs)];
}

function tierRow({ service, url, version, isReady, reason, parked, inFlight }: Tier): string[] {
  const numbers = [
    ...(parked === undefined ? [] : [`${parked} parked`]),
    ...(inFlight === undefined ? [] : [`${inFlight} in flight`]),
  ];
  return [service ?? url, version ?? '-', isReady ? 'yes' : 'no', reason ?? numbers.join(', ')];
}
