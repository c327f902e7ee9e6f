import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createMemoryBroker } from '@waybill/embedded-broker/create-memory-broker.ts';
import type { CloudEvent } from '../event/event.ts';
import { deadLetters } from '../telemetry/metrics.ts';
import { collect, soon } from './contract-bench.fixture.ts';
import { deadLetter } from './dead-letter.ts';
import type { Delivery } from './ports.ts';

describe('deadLetter', () => {
  const event: CloudEvent = {
    specversion: '1.0',
    id: '1',
    source: '/test',
    type: 'PingRequest',
    traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
    data: { text: 'ü' },
  };
  const delivery: Delivery = {
    body: Buffer.from([0, 255, 1]),
    contentType: 'application/octet-stream',
    headers: {},
    from: { work: 'ping' },
    queue: 'waybill.ping',
    routingKey: 'PingRequest',
    destination: { system: 'test', name: 'PingRequest', attributes: {} },
    deliveryCount: 0,
    signal: new AbortController().signal,
    ack: () => assert.fail('the caller acks'),
    requeue: () => assert.fail('the caller acks'),
  };

  it('keeps the event as it was, with why, from where, how often tried, and its trace', async () => {
    const { publisher, next } = await collectDeadLetters();

    await deadLetter({
      publisher,
      delivery,
      event,
      reason: 'handler-failed',
      attempts: 5,
      error: { code: 'handler-failed', message: 'x'.repeat(5_000) },
    });

    const { body, contentType, routingKey, headers } = await next();
    assert.deepEqual(JSON.parse(String(body)), event);
    assert.match(contentType, /^application\/cloudevents\+json/);
    assert.equal(routingKey, 'PingRequest');
    assert.ok(Math.abs(Date.now() - Date.parse(String(headers['waybill-dead-lettered-at']))) < 60_000);
    assert.deepEqual(pick(headers), {
      'waybill-reason': 'handler-failed',
      'waybill-queue': 'waybill.ping',
      'waybill-attempts': 5,
      'waybill-error-code': 'handler-failed',
      'waybill-error-message': 'x'.repeat(1_000),
      'waybill-trace-id': '4bf92f3577b34da6a3ce929d0e0e4736',
    });
  });

  it('keeps a message without an event raw', async () => {
    const { publisher, next } = await collectDeadLetters();

    await deadLetter({
      publisher,
      delivery,
      reason: 'unparsable',
      error: { code: 'invalid-request', message: 'not JSON' },
    });

    const { body, contentType, headers } = await next();
    assert.deepEqual(body, delivery.body);
    assert.equal(contentType, 'application/octet-stream');
    assert.equal(headers['waybill-reason'], 'unparsable');
    assert.equal(headers['waybill-trace-id'], undefined);
  });

  it('rejects when the delivery is lost before the broker has it', async (t) => {
    const { publisher, faults } = createMemoryBroker();
    await soon(() => assert.ok(publisher.isAvailable()));
    faults.refuse();
    const error = { code: 'invalid-request', message: 'not JSON' };
    const lost = { ...delivery, signal: AbortSignal.abort() };
    const counted = t.mock.method(deadLetters, 'add');

    await assert.rejects(deadLetter({ publisher, delivery: lost, reason: 'unparsable', error }), {
      code: 'broker-unavailable',
    });
    // Without telemetry all counters are one object, and the connection has counted too.
    const reasons = counted.mock.calls.map(({ arguments: [, attributes] }) => attributes?.reason);
    assert.ok(!reasons.includes('unparsable'), 'the consumer that gets it then counts it');
  });

  async function collectDeadLetters() {
    const { publisher, subscriber } = createMemoryBroker();
    const consumption = collect(subscriber, { from: { deadLetters: true }, prefetch: 1 });
    await soon(() => assert.ok(consumption.isActive()));
    async function next(): Promise<Delivery> {
      const found = await consumption.next();
      found.ack();
      return found;
    }
    return { publisher, next };
  }
});

/** Those of a dead letter, without its time and what the broker adds. */
function pick(headers: Delivery['headers']): Delivery['headers'] {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => name.startsWith('waybill-') && !name.endsWith('-at')),
  );
}
