import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import type { CloudEvent } from '@waybill/common/event/event.ts';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import { createAnswers } from './answers.fixture.ts';
import { createListener } from './create-listener.ts';
import type { Handler } from './handler.ts';
import { oncePerEvent } from './once-per-event.ts';
import { Problem } from './problem.ts';

const shipped = () => new Problem(409, 'already-shipped', { detail: 'it is on its way', order: 7 });
const event: CloudEvent = {
  specversion: '1.0',
  id: 'e1',
  source: '/test',
  type: 'Order.Cancel',
  data: 'Ada',
};

function start(t: TestContext, handle: Handler) {
  const broker = createMemoryBroker();
  t.after(() => broker.close());
  let attempts = 0;
  const counted: Handler = (...given) => {
    attempts += 1;
    return handle(...given);
  };
  createListener({ service: 'orders', handlers: { 'Order.Cancel': counted }, ...broker });
  return { broker, attempts: () => attempts };
}

describe('a problem', () => {
  const ways: [string, Handler][] = [
    [
      'thrown',
      () => {
        throw shipped();
      },
    ],
    ['returned', () => shipped()],
    [
      'thrown by a handler that runs once per event',
      oncePerEvent(() => {
        throw shipped();
      }),
    ],
    ['returned by a handler that runs once per event', oncePerEvent(() => shipped())],
  ];
  for (const [how, handle] of ways)
    it(`${how} answers the client with just that, without a retry or a dead letter`, async (t) => {
      const { broker, attempts } = start(t, handle);
      const { type, datacontenttype, data } = await broker.ask(event);
      assert.deepEqual([type, datacontenttype], ['waybill.Problem', 'application/problem+json']);
      assert.deepEqual(data, {
        ...{ type: 'about:blank', title: 'Conflict', status: 409, code: 'already-shipped' },
        ...{ detail: 'it is on its way', order: 7, event_id: 'e1' },
      });
      assert.equal(attempts(), 1);
      assert.deepEqual(broker.queues()['waybill.dead-letters'], { ready: 0, unacked: 0 });
    });

  it('that cannot be carried is a failure of its handler, once', async (t) => {
    const { broker, attempts } = start(t, () => new Problem(409, 'sold-out', { left: Number.NaN }));
    const { data } = await broker.ask(event);
    assert.deepEqual((data as { status: number }).status, 502);
    assert.equal(attempts(), 1);
    assert.deepEqual(broker.queues()['waybill.dead-letters'], { ready: 1, unacked: 0 });
  });

  it("of an event that nobody waits for is an operator's: it is dead-lettered, without a retry", async (t) => {
    const { broker, attempts } = start(t, shipped);
    const answers = await createAnswers(broker.connect({ topology: 'dispatcher' }));
    await answers.send(event);
    const { reason, code, message } = await answers.deadLetter('"Ada"');
    assert.deepEqual([reason, code, message], ['handler-failed', 'already-shipped', 'it is on its way']);
    assert.equal(attempts(), 1);
  });

  it('names its type and title where it is given them', () => {
    const options = { type: 'https://example.com/shipped', title: 'Shipped' };
    assert.deepEqual(new Problem(409, 'already-shipped', options).toJSON(), {
      ...options,
      ...{ status: 409, code: 'already-shipped' },
    });
  });

  for (const [status, code] of [
    [200, 'fine'],
    [600, 'odd'],
    [409.5, 'odd'],
    [503, 'busy'],
    [502, 'broken'],
    [504, 'late'],
    [425, 'early'],
    [409, 'unroutable'],
    [409, 'handler-failed'],
    [409, 'Not A Code'],
    [409, ''],
  ] as const)
    it(`cannot be ${status} "${code}"`, () => {
      assert.throws(() => new Problem(status, code), RangeError);
    });
});
