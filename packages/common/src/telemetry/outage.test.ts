import assert from 'node:assert/strict';
import { it } from 'node:test';
import { createOutage } from './outage.ts';

it('an outage begins with the first failure, and is over when nothing has failed for ten seconds', () => {
  const lines: string[] = [];
  let nowMs = 0;
  const note = createOutage<string>({
    onBegun: (reason) => lines.push(reason),
    onOver: () => lines.push('over'),
    nowMs: () => nowMs,
  });
  note(undefined);
  for (; nowMs < 5_000; nowMs += 1) note(nowMs % 2 ? undefined : 'full');
  assert.deepEqual(lines, ['full']);
  nowMs = 14_997;
  note(undefined);
  assert.deepEqual(lines, ['full']);
  nowMs = 14_998;
  note(undefined);
  note(undefined);
  assert.deepEqual(lines, ['full', 'over']);
  note('away');
  assert.deepEqual(lines, ['full', 'over', 'away']);
});
