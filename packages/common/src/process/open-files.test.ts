import assert from 'node:assert/strict';
import { test } from 'node:test';
import { warnOfFewOpenFiles } from './open-files.ts';

/** What is logged for two settings of 100 connections each. */
function warnings(allowed?: number): string[] {
  const lines: string[] = [];
  const log = { warn: (_fields: object, message: string) => void lines.push(message) };
  warnOfFewOpenFiles(log as never, { MAX_CONNECTIONS: 100, TCP_MAX_CONNECTIONS: 100 }, allowed);
  return lines;
}

test('warns, and names the settings, when fewer files may be open than connections and the rest need', () => {
  const [warning, ...others] = warnings(399);
  assert.match(
    String(warning),
    /allows this process 399 open files.*need 400.*MAX_CONNECTIONS and TCP_MAX_CONNECTIONS/,
  );
  assert.deepEqual(others, []);
});

test('says nothing when the limit is enough', () => {
  assert.deepEqual(warnings(400), []);
});
