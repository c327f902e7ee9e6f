/** A fault of our own while a message is taken apart: nothing that can come from a broker leads to one. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { OutgoingMessage } from '@waybill/common/broker/ports.ts';
import { EVENT_CONTENT_TYPE } from '@waybill/common/event/event-json.ts';
import pLimit from 'p-limit';
import { pino } from 'pino';
import { createHandleDelivery } from './handle-delivery.ts';
import { makeDelivery, makePublisher } from './ports.fixture.ts';
import { createSurvivedLosses } from './survived-losses.ts';

it('dead-letters a message whose decoding fails as nobody foresaw, and logs that once with its stack', async () => {
  const published: OutgoingMessage[] = [];
  const lines: { level: number; err: { stack: string } }[] = [];
  let isAcked = false;
  const publisher = makePublisher(async (message) => {
    published.push(message);
    return 'confirmed';
  });
  const handleDelivery = createHandleDelivery({
    service: 'unforeseen',
    publisher,
    handleEvent: async () => assert.fail('there is no event'),
    giveUp: async () => assert.fail('there is no event'),
    limit: pLimit(1),
    survivedLosses: createSurvivedLosses(),
    startWithinMs: 60_000,
    log: pino({}, { write: (line) => void lines.push(JSON.parse(line)) }),
  });
  let reads = 0;
  const delivery = {
    ...makeDelivery([], { routingKey: 'Unforeseen' }),
    contentType: EVENT_CONTENT_TYPE,
    get body() {
      reads += 1;
      if (reads === 1) throw new RangeError('nobody foresaw this');
      return Buffer.from('as it came');
    },
    ack: () => {
      isAcked = true;
    },
  };

  await handleDelivery(delivery).settled;
  assert.equal(isAcked, true);
  assert.deepEqual(
    published.map(({ to, body }) => ({ to, body: String(body) })),
    [{ to: { deadLetters: 'Unforeseen' }, body: 'as it came' }],
  );
  const stacks = lines.filter(({ level }) => level === 50).map(({ err }) => err.stack);
  assert.equal(stacks.length, 1);
  assert.match(String(stacks[0]), /^RangeError: nobody foresaw this\n[\s\S]*decode/);
});
