/** The log lines of services side by side: as they are, for programs, or made for reading where that is a terminal. */
import { styleText } from 'node:util';
import { printable } from '../../../bin/plain/printable.mjs';

const colours = ['cyan', 'magenta', 'green', 'yellow', 'blue'] as const;

/** Is said elsewhere, or is for programs. */
const UNSAID = ['level', 'time', 'msg', 'service', 'span_id', 'trace_flags', 'err'];

/**
 * Returns what prints a line with the name of its service before it.
 *
 * @param level that the user has asked for; without one, lines at debug are not shown, nor on a terminal requests that went
 *   well
 * @param isTerminal whether somebody reads along
 */
export function createPrinter({
  names,
  level,
  isTerminal,
  print = console.log,
}: {
  names: string[];
  level: string | undefined;
  isTerminal: boolean;
  print?(text: string): void;
}) {
  const width = Math.max(...names.map((name) => name.length));
  const prefixes = new Map(names.map((name, index) => [name, toPrefix(name.padEnd(width), index)]));
  return (name: string, line: string) => {
    const prefix = prefixes.get(name);
    if (!level && /^\{"level":"(debug|trace)"/.test(line)) return;
    const entry = isTerminal ? parse(line) : undefined;
    if (!entry) return print(`${prefix} | ${line}`);
    if (!level && entry.msg === 'event answered' && Number(entry.status) < 400) return;
    for (const text of prettyLines(entry)) print(`${prefix} | ${text}`);
  };
}

function toPrefix(name: string, index: number) {
  return styleText(colours[index % colours.length] ?? 'cyan', name, { stream: process.stdout });
}

type Entry = Record<string, unknown>;

function parse(line: string): Entry | undefined {
  try {
    const entry: unknown = line.startsWith('{') ? JSON.parse(line) : undefined;
    return typeof entry === 'object' && entry !== null ? (entry as Entry) : undefined;
  } catch {
    return undefined;
  }
}

/** Time, level where it is not `info`, message and fields; below it the error. Nothing of it steers the terminal. */
export function prettyLines(entry: Entry): string[] {
  const { level, time, msg, err } = entry;
  const fields = Object.entries(entry).filter(([name]) => !UNSAID.includes(name));
  const said = [
    timeOfDay(time),
    ...(level === 'info' ? [] : [paint(level, String(level).toUpperCase())]),
    inOneLine(String(msg ?? '')),
    ...fields.map(([name, value]) => inOneLine(`${name}=${toText(value)}`)),
  ];
  return [said.join(' '), ...describeError(err)];
}

function timeOfDay(time: unknown) {
  const date = new Date(Number(time));
  if (Number.isNaN(date.getTime())) return '-';
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':')
    .concat('.', String(date.getMilliseconds()).padStart(3, '0'));
}

function paint(level: unknown, text: string) {
  const colour = level === 'warn' ? 'yellow' : level === 'debug' || level === 'trace' ? 'gray' : 'red';
  return styleText(colour, inOneLine(text), { stream: process.stdout });
}

function toText(value: unknown) {
  return typeof value === 'string' && /^[^\s"=]+$/.test(value) ? value : JSON.stringify(value);
}

function describeError(err: unknown) {
  if (typeof err !== 'object' || err === null) return [];
  const { stack, message, code } = err as Record<string, unknown>;
  const text = String(stack ?? message ?? code ?? '');
  return text.split('\n').map((line) => `    ${inOneLine(line)}`);
}

function inOneLine(text: string) {
  return printable(text).replaceAll('\n', '\\u000a');
}
