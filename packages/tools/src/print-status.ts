/** A status for people. Names in it may be a stranger's, so no control character is printed. */
import type { Status, Tier } from './collect-status.ts';
import { renderTable } from './render-table.ts';

/** The whole as text. */
export function renderStatus({ tiers, types, queues, deadLetters }: Status): string {
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
    `dead letters  ${deadLetters.total}${details ? `: ${details}` : ''}`,
  ].join('\n\n');
}

function tierRow({ service, url, version, isReady, reason, parked, inFlight }: Tier): string[] {
  const numbers = [
    ...(parked === undefined ? [] : [`${parked} parked`]),
    ...(inFlight === undefined ? [] : [`${inFlight} in flight`]),
  ];
  return [service ?? url, version ?? '-', isReady ? 'yes' : 'no', reason ?? numbers.join(', ')];
}
