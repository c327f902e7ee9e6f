import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { Publisher } from '@waybill/common/broker/ports.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { encodeEvent } from '@waybill/common/event/event-json.ts';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { pino } from 'pino';
import { newEvent } from './dispatcher.fixture.ts';
import type { LostTypes } from './lost-types.ts';
import { createPublishEvent } from './publish.ts';

function start(publish: Publisher['publish'], maxByType = new Map<string, number>()) {
  const lines: string[] = [];
  const log = pino({}, { write: (line: string) => void lines.push(line) });
  const lostTypes: LostTypes = { judge: async (_type, outcome) => outcome };
  const publisher = { ...createMemoryBroker().publisher, publish };
  const publishEvent = createPublishEvent({
    publisher,
    publishObserved: async () => true,
    lostTypes,
    maxByType,
    log,
  });
  return { publishEvent: (event: CloudEvent) => publishEvent(encodeEvent(event)), lines };
}

it('of a publish that failed in a way nobody foresaw the outcome is unknown: the events may be in the broker', async () => {
  const { publishEvent, lines } = start(async () => assert.fail('canary'));
  const outcomes = await Promise.all([newEvent('Known'), newEvent('Known')].map(publishEvent));
  assert.deepEqual(outcomes, ['unknown', 'unknown']);
  assert.equal(lines.length, 1, 'logged once for the batch');
  assert.match(lines[0] ?? '', /canary.*publish\.test\.ts/);
});

it('what had no turn was not published, and is nothing to log', async () => {
  const { publishEvent, lines } = start(() => new Promise(() => {}), new Map([['Known', 1]]));
  const outcomes = Array.from({ length: 5 }, () => publishEvent(newEvent('Known')));
  assert.equal(await outcomes[4], 'not-accepted');
  assert.deepEqual(lines, []);
});

it('has events of one partition in one message, in their order, and puts together again what nobody takes in order', async () => {
  const messages: string[] = [];
  const { publishEvent } = start(async ({ to, body }) => {
    const ids = [JSON.parse(String(body))].flat().map(({ id }) => id);
    messages.push(`${JSON.stringify(to)} ${ids}`);
    return 'partition' in to && 'type' in to && to.type === 'Plain' ? 'unroutable' : 'confirmed';
  });
  const send = (type: string) =>
    Promise.all(
      ['customer-1', 'customer-2', 'customer-1'].map((partitionkey, n) =>
        publishEvent(newEvent(type, { id: `${n}`, partitionkey })),
      ),
    );

  assert.deepEqual(await send('Ordered'), ['confirmed', 'confirmed', 'confirmed']);
  assert.deepEqual(messages.splice(0), [
    '{"type":"Ordered","partition":5} 0,2',
    '{"type":"Ordered","partition":7} 1',
  ]);
  assert.deepEqual(await send('Plain'), ['confirmed', 'confirmed', 'confirmed']);
  messages.length = 0;
  assert.deepEqual(await send('Plain'), ['confirmed', 'confirmed', 'confirmed']);
  assert.deepEqual(messages, ['{"type":"Plain"} 0,1,2']);
});
