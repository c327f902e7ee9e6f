import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { Handlers } from '../handler.ts';
import { handlers } from './orders.fixture.ts';
import { createTestListener, type TestListener } from './test-listener.ts';

describe('a test listener', () => {
  let shop: TestListener;
  beforeEach(async () => {
    shop = await createTestListener({ service: 'shop', handlers });
  });
  afterEach(() => shop.close());

  const typesOf = (events: { type: string }[]) => events.map(({ type }) => type);

  it('answers, and keeps the further events to be looked at', async () => {
    const { type, data, source } = await shop.ask({ type: 'Order.Place', data: { sku: 'x' } });
    assert.deepEqual([type, data, source], ['Order.Placed', { sku: 'x' }, '/waybill/shop']);
    assert.deepEqual(typesOf(shop.published()), ['Stock.Take', 'Order.Remind']);
  });

  it('passes over all retries to the reply, without waiting for them', async () => {
    const startedMs = performance.now();
    const { data } = await shop.ask({ type: 'Order.Pay', data: { worksAt: 5 } });
    assert.deepEqual(data, { attempt: 5 });
    // 0.2, 1, 5 and 5 s.
    assert.ok(performance.now() - startedMs < 11_200);
    assert.deepEqual(shop.deadLetters(), []);
  });

  it('tells who asks that the event was given up, and shows the dead letter', async () => {
    const { type, data } = await shop.ask({ type: 'Order.Pay', id: 'o1', data: { card: 'declined' } });
    assert.deepEqual(
      [type, (data as { error_code: string }).error_code],
      ['waybill.Problem', 'card-declined'],
    );
    const [{ event, ...rest } = assert.fail('no dead letter'), ...others] = shop.deadLetters();
    assert.deepEqual([event.id, others], ['o1', []]);
    assert.deepEqual(rest, {
      reason: 'handler-failed',
      code: 'card-declined',
      message: 'the card was declined',
      attempts: 1,
    });
  });

  it('tells who asks what is wrong with the data', async () => {
    const { data } = await shop.ask({ type: 'Order.Place', data: { sku: 7 } });
    const { status, errors } = data as { status: number; errors: { pointer: string }[] };
    assert.deepEqual([status, errors[0]?.pointer], [422, '#/sku']);
  });

  it('lets time pass when it is told to, and no sooner', async () => {
    await shop.send({ type: 'Order.Pay', data: { worksAt: 9 } });
    await shop.advance(6_199);
    assert.equal(shop.deadLetters().length, 0);
    await shop.advance(5_000);
    assert.equal(shop.deadLetters().length, 0);
    await shop.advance(1);
    assert.deepEqual(
      shop.deadLetters().map(({ code, attempts }) => [code, attempts]),
      [['Error', 5]],
    );
  });

  it('gives a delayed event at its time', async () => {
    await shop.send({ type: 'Order.Place', data: { sku: 'x' } });
    await shop.advance(4_999);
    assert.deepEqual(typesOf(shop.published()), ['Stock.Take', 'Order.Remind']);
    await shop.advance(1);
    assert.deepEqual(typesOf(shop.published()), ['Stock.Take', 'Order.Remind', 'Mail.Send']);
  });

  it('settles: all that was to come has come', async () => {
    await shop.send({ type: 'Order.Place', data: { sku: 'x' } });
    await shop.send({ type: 'Order.Pay', data: { worksAt: 9 } });
    await shop.settled();
    assert.ok(typesOf(shop.published()).includes('Mail.Send'));
    assert.equal(shop.deadLetters().length, 1);
  });

  it('shows observers what is sent, and what handlers publish', async () => {
    const seen: string[] = [];
    const note = ({ type }: { type: string }) => void seen.push(type);
    const audit = await createTestListener({
      service: 'audit',
      handlers: { 'Order.Place': () => ({ reply: { type: 'Done' }, events: [{ type: 'Stock.Take' }] }) },
      observers: { 'Stock.Take': note, 'Order.Paid': note },
    });
    await audit.ask({ type: 'Order.Place' });
    await audit.send({ type: 'Order.Paid' });
    await audit.idle();
    assert.deepEqual(seen, ['Stock.Take', 'Order.Paid']);
    await assert.rejects(audit.ask({ type: 'Order.Paid' }), { code: 'unroutable' });
    await audit.close();
  });

  it('does not wait for what never settles', async () => {
    const again: Handlers = {
      Tick: () => ({ events: [{ type: 'Tick', delayMs: 200, isContinuation: true }] }),
    };
    const clock = await createTestListener({ service: 'clock', handlers: again });
    await clock.send({ type: 'Tick' });
    await assert.rejects(clock.settled(), /does not settle/);
    await clock.close();
  });

  it('rejects an event that no handler takes', async () => {
    for (const act of [shop.ask, shop.send])
      await assert.rejects(act({ type: 'Order.Cancel' }), { code: 'unroutable' });
  });

  it('rejects when all is done and there is no reply, instead of waiting for one', async () => {
    const expirytime = new Date(Date.now() - 1_000).toISOString();
    await assert.rejects(shop.ask({ type: 'Order.Pay', data: {}, expirytime }), /has no reply/);
  });
});
