import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeEvent } from '@waybill/common/event/event-json.ts';
import { pino } from 'pino';
import { createLanes } from './lanes.ts';

test('an address that takes replies and fails by turns is one line of the log', async (t) => {
  const lines: { level: number; url: string; reason: string }[] = [];
  const log = pino({}, { write: (line) => void lines.push(JSON.parse(line)) });
  let calls = 0;
  const lanes = createLanes({
    keyOf: () => 'one',
    open: () => ({
      fields: { url: 'http://one' },
      async send(replies) {
        calls += 1;
        const outcome = calls % 2 ? 'failing' : 'delivered';
        return { outcomes: replies.map(() => outcome), reason: 'timeout' };
      },
    }),
    log,
  });
  t.after(() => lanes.close());
  const address = { kind: 'callback', url: 'http://one', instance: 'one', expMs: Date.now() + 60_000 };
  const reply = encodeEvent({ specversion: '1.0', id: '1', source: '/t', type: 'Pong' });
  const outcomes: string[] = [];
  for (let n = 0; n < 6; n += 1) outcomes.push(await lanes.deliver(address, reply));
  assert.deepEqual(outcomes, ['failing', 'delivered', 'failing', 'delivered', 'failing', 'delivered']);
  assert.deepEqual(
    lines.map(({ level, url, reason }) => [level, url, reason]),
    [[40, 'http://one', 'timeout']],
  );
});
