import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { createPrinter, prettyLines } from './print-logs.ts';

const time = new Date(2026, 0, 2, 3, 4, 5, 67).getTime();
const pretty = (entry: Record<string, unknown>) =>
  prettyLines({ time, ...entry }).map(stripVTControlCharacters);

test('a line for reading has the time of day, the message and its fields', () => {
  const entry = { level: 'info', service: 'public-web', msg: 'event answered', event_type: 'PingRequest' };
  const fields = { duration_ms: 3, note: 'two words', span_id: 'x' };
  assert.deepEqual(pretty({ ...entry, ...fields }), [
    '03:04:05.067 event answered event_type=PingRequest duration_ms=3 note="two words"',
  ]);
});

test('a level other than info stands before the message, and an error below it', () => {
  const err = { type: 'Error', message: 'no luck', stack: 'Error: no luck\n    at there' };
  assert.deepEqual(pretty({ level: 'warn', msg: 'failed', err }), [
    '03:04:05.067 WARN failed',
    '    Error: no luck',
    '        at there',
  ]);
});

test('nothing in it breaks a line, or steers the terminal', () => {
  const [line, ...others] = prettyLines({
    time,
    level: 'info',
    msg: 'a\nb\u001b[2J',
    id: 'c\nd\u202e',
    'e\nf': 1,
  });
  assert.deepEqual(others, []);
  assert.equal(line, '03:04:05.067 a\\u000ab\\u001b[2J id="c\\nd\\u202e" e\\u000af=1');
});

/** What is printed of a debug line, a request that went well and one that did not. */
function printed({ level, isTerminal }: { level?: string; isTerminal: boolean }): string[] {
  const lines: string[] = [];
  const onLine = createPrinter({
    names: ['public-web'],
    level,
    isTerminal,
    print: (text) => void lines.push(stripVTControlCharacters(text)),
  });
  for (const entry of [
    { level: 'debug', msg: 'event published' },
    { level: 'info', msg: 'event answered', status: 200 },
    { level: 'info', msg: 'event answered', status: 504 },
  ])
    onLine('public-web', JSON.stringify({ ...entry, time }));
  return lines;
}

test('on a terminal requests that went well are not shown, unless they are asked for', () => {
  assert.deepEqual(printed({ isTerminal: true }), ['public-web | 03:04:05.067 event answered status=504']);
  assert.equal(printed({ isTerminal: true, level: 'info' }).length, 3);
});

test('for programs each line but those at debug is as it was', () => {
  const lines = printed({ isTerminal: false });
  assert.deepEqual(
    lines.map((line) => JSON.parse(line.replace('public-web | ', '')).status),
    [200, 504],
  );
});
