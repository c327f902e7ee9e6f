import assert from 'node:assert/strict';
import { test } from 'node:test';
import { events } from '@waybill/common/telemetry/metrics.ts';
import { createAccount } from './account.ts';

/** An account, and what it has logged of each level. */
function start() {
  const levels: string[] = [];
  const summaries: unknown[] = [];
  const account = createAccount({ log: { info: (fields: object) => void summaries.push(fields) } as never });
  const log = { info: () => void levels.push('info'), debug: () => void levels.push('debug') };
  const end = (code: string | undefined) =>
    account({
      log: log as never,
      event: { id: 'e', type: 'T' },
      label: 'T',
      status: 0,
      code,
      success: 'answered',
      durationMs: 1,
    });
  const count = (level: string) => levels.filter((it) => it === level).length;
  return { end, count, summaries };
}

test('of events that are refused without end ten a second are logged, and how many more there were', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { end, count, summaries } = start();
  for (let index = 0; index < 100; index += 1) end(index % 2 ? 'unroutable' : 'client-gone');
  assert.deepEqual([count('info'), count('debug')], [10, 90]);
  t.mock.timers.tick(1_000);
  assert.deepEqual(summaries, [{ left_out: { 'client-gone': 45, unroutable: 45 } }]);
  end('unroutable');
  assert.equal(count('info'), 11);
  t.mock.timers.tick(1_000);
  assert.equal(summaries.length, 1);
});

test('an event that ran, or may have, has a line in any case', () => {
  const { end, count } = start();
  for (let index = 0; index < 100; index += 1)
    end(['outcome-unknown', 'handler-failed', undefined][index % 3]);
  assert.equal(count('info'), 100);
});

test('metrics are told a code of ours, and of that of a handler that it refused', (t) => {
  const counted = t.mock.method(events, 'add');
  const { end } = start();
  for (const code of [undefined, 'unroutable', 'order-1', 'order-2']) end(code);
  assert.deepEqual(
    counted.mock.calls.map(({ arguments: [, attributes] }) => attributes?.outcome),
    ['answered', 'unroutable', 'refused', 'refused'],
  );
});
