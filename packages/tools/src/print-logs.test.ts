import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { prettyLines } from './print-logs.ts';

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
