import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { AppError } from '@waybill/common/errors.ts';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import type { SendOutcome, Series } from './dispatcher-client.ts';
import { sendInOrder } from './send-in-order.ts';

/** A dispatcher that says what became of an event when it is told to. */
function setUp() {
  const underWay = new Map<string, (outcome: SendOutcome) => void>();
  const { send } = sendInOrder({
    send: ({ id }) => new Promise((resolve) => void underWay.set(id, resolve)),
  });
  return {
    send: (id: string, attributes: Partial<CloudEvent> = {}, series: Series | undefined = 'one') =>
      send({ specversion: '1.0', source: '/test', type: 'T', ...attributes, id }, () => false, series),
    sent: () => [...underWay.keys()],
    async settle(id: string, outcome?: SendOutcome) {
      underWay.get(id)?.(outcome);
      await nextTurn();
    },
  };
}

it('sends an event when it is known what became of the one before it with its key, whatever that is', async () => {
  const { send, sent, settle } = setUp();
  for (const id of ['a1', 'a2', 'a3']) void send(id, { partitionkey: 'a' });
  assert.deepEqual(sent(), ['a1']);

  await settle('a1');
  assert.deepEqual(sent(), ['a1', 'a2']);

  await settle('a2', new AppError('outcome-unknown', 'no'));
  assert.deepEqual(sent(), ['a1', 'a2', 'a3']);

  await settle('a3');
  void send('a4', { partitionkey: 'a' });
  assert.deepEqual(sent(), ['a1', 'a2', 'a3', 'a4']);
});

it('sends those of other keys, and without one, beside it; a number is the key that it is as text', async () => {
  const { send, sent } = setUp();
  void send('1', { partitionkey: '7' });
  void send('2', { partitionkey: 'b' });
  void send('3');
  void send('4', { partitionkey: '' });
  void send('5', { partitionkey: 7 });
  assert.deepEqual(sent(), ['1', '2', '3', '4']);
});

it('does not send what has expired while it waited', async () => {
  const { send, sent, settle } = setUp();
  void send('1', { partitionkey: 'a' });
  const late = send('2', { partitionkey: 'a', expirytime: new Date(Date.now() - 1).toISOString() });
  await settle('1');
  assert.equal((await late)?.code, 'not-accepted');
  assert.deepEqual(sent(), ['1']);
});

it('sends those of other series beside it, and what came by itself at once', async () => {
  const { send, sent } = setUp();
  const partitionkey = 'a';
  const socket = {};
  void send('1', { partitionkey, type: 'Stuck' }, 'mailbox');
  void send('2', { partitionkey }, 'mailbox');
  void send('3', { partitionkey }, 'another mailbox');
  void send('4', { partitionkey }, socket);
  void send('5', { partitionkey }, socket);
  assert.deepEqual(sent(), ['1', '3', '4']);
});
