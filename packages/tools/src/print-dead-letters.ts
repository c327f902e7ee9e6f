/** Dead letters for people and for programs. Strangers chose much of what is in them, so no control character is printed. */

import { printable } from '../../../bin/plain/printable.mjs';
import type { DeadLetter } from './read-dead-letter.ts';

type Summary = Omit<DeadLetter, 'message' | 'events'>;

const TITLES = ['ID', 'TYPE', 'REASON', 'ERROR', 'ATTEMPTS', 'AGE', 'TRACE ID', 'MESSAGE'];
/** Of a column, and of the last one; `show` and --json print it in full. */
const MAX_WIDTH = 40;
const MAX_LAST_WIDTH = 100;

export function printTable(deadLetters: Summary[]) {
  const rows = [TITLES, ...deadLetters.map((deadLetter) => toRow(deadLetter).map(inOneLine))];
  const widths = TITLES.map((_, column) => Math.max(...rows.map((row) => width(row[column], column))));
  for (const row of rows)
    console.log(
      row
        .map((cell, column) => fit(cell, widths[column] ?? 0, column))
        .join('  ')
        .trimEnd(),
    );
}

/** Its whole: what is known of it, and the event. */
export function printDeadLetter(deadLetter: DeadLetter) {
  const { id, type, reason, errorCode, errorMessage, attempts, queue, routingKey, traceId, message } =
    deadLetter;
  const lines = {
    id,
    type: type ?? '-',
    reason,
    error: [errorCode, errorMessage].filter((part) => part !== undefined).join(': ') || '-',
    attempts: attempts ?? '-',
    queue: queue ?? '-',
    'routing key': routingKey,
    'dead since': deadLetter.deadLetteredAt
      ? `${deadLetter.deadLetteredAt.toISOString()} (${age(deadLetter)})`
      : '-',
    'trace id': traceId ?? '-',
    content: `${message.properties.contentType ?? 'no content type'}, ${message.content.length} bytes`,
    headers: JSON.stringify(message.properties.headers),
  };
  for (const [name, value] of Object.entries(lines))
    console.log(`${name.padEnd(11)}  ${inOneLine(String(value))}`);
  console.log(`\n${printable(bodyText(deadLetter))}\n`);
}

export function printJson(deadLetters: Summary[]) {
  console.log(printable(JSON.stringify(deadLetters.map(toFacts), null, 2)));
}

export function printWholeJson(deadLetters: DeadLetter[]) {
  const whole = deadLetters.map(({ message, events, ...summary }) => ({
    ...toFacts(summary),
    ...toContent({ message, events }),
  }));
  console.log(printable(JSON.stringify(whole, null, 2)));
}

export function describe({ id, type }: DeadLetter): string {
  return inOneLine(`${id} ${type ?? '-'}`);
}

function toRow(deadLetter: Summary) {
  const { id, type, eventCount, reason, errorCode, errorMessage, attempts, traceId } = deadLetter;
  const count = eventCount > 1 ? ` ×${eventCount}` : '';
  const cells = [
    id,
    type && type + count,
    reason,
    errorCode,
    attempts,
    age(deadLetter),
    traceId,
    errorMessage,
  ];
  return cells.map((cell) => String(cell ?? '-'));
}

function toFacts({ isBatch, ...facts }: Summary) {
  return { ...facts, deadLetteredAt: facts.deadLetteredAt?.toISOString() };
}

function toContent({ message, events }: Pick<DeadLetter, 'message' | 'events'>) {
  const { contentType, headers } = message.properties;
  return {
    contentType,
    headers,
    events,
    bodyBase64: events ? undefined : message.content.toString('base64'),
  };
}

function bodyText({ events, isBatch, message }: DeadLetter) {
  if (events) return JSON.stringify(isBatch ? events : events[0], null, 2);
  const text = message.content.toString('utf8');
  return Buffer.from(text, 'utf8').equals(message.content) ? text : message.content.toString('base64');
}

function age({ deadLetteredAt }: Summary) {
  if (!deadLetteredAt) return '-';
  const seconds = Math.max(0, Math.round((Date.now() - deadLetteredAt.getTime()) / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`;
}

/** @param column an id is never cut, as it is what the other commands are given */
function width(cell: string | undefined = '', column: number) {
  return column === 0 ? cell.length : Math.min(cell.length, maxWidth(column));
}

function fit(cell: string, columnWidth: number, column: number) {
  const isCut = width(cell, column) < cell.length;
  return (isCut ? `${cell.slice(0, maxWidth(column) - 1)}…` : cell).padEnd(columnWidth);
}

function maxWidth(column: number) {
  return column === TITLES.length - 1 ? MAX_LAST_WIDTH : MAX_WIDTH;
}

function inOneLine(text: string) {
  return printable(text).replaceAll('\n', '\\u000a');
}
